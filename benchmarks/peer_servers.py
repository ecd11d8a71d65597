"""The servers of `peers`: each a process of its own, started with what its documentation recommends for one core."""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import NamedTuple

from streaming.server.embedded_redis import start_redis
from streaming.server.redis_server import free_port

from .peer_clients import BINARY, Client, Mqtt, Posting, Publish
from .stack import PAGE, processor_seconds, running_process, stack

NCHAN = Path("/usr/lib/nginx/modules/ngx_nchan_module.so")
SOCKET_IO = os.environ.get("GEOSTREAM_BENCH_NODE_PATH", "node_modules")
_CHANNELS = Path(__file__).with_name("peer_channels.py")
_SOCKET_IO = Path(__file__).with_name("peer_socket_io.cjs")


class Running(NamedTuple):
    """A server that has started."""

    port: int
    publish_port: int
    pids: tuple[int, ...]
    token: str = ""

    @property
    def cpu(self) -> float:
        """Processor seconds of all its processes."""
        return processor_seconds(*self.pids)

    @property
    def memory(self) -> int:
        """Resident bytes of all its processes."""
        return sum(int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE for pid in self.pids)


class Peer(NamedTuple):
    """One of the servers."""

    name: str
    client: Client
    start: Callable[[], AbstractContextManager[Running]]
    publisher: Callable[[Running], Awaitable[Publish]]
    missing: str | None = None
    """What has to be installed first."""


# -- GeoStream -----------------------------------------------------------------

LAYER = "bench"
_FEATURE = '{"type":"Feature","id":"v","geometry":{"type":"Point","coordinates":[7.5,46.9]},"properties":%s}'


@contextmanager
def _geostream() -> Iterator[Running]:
    with stack() as server:
        yield Running(server.port, server.port, (server.pid,), server.token())


async def _feature(running: Running) -> Publish:
    path = f"/api/layers/{LAYER}/features"
    return await Posting(path, lambda text: (_FEATURE % text).encode(), f"Authorization: Bearer {running.token}\r\n").open(running.port)


_GEO = Client("/ws", (b'{"type":"subscribe_features","subscription_id":"s","layer":"bench","snapshot":false}',), b'"type":"ack"')

# -- others --------------------------------------------------------------------


@contextmanager
def _channels() -> Iterator[Running]:
    with tempfile.TemporaryDirectory(prefix="geostream-bench-") as folder, start_redis(Path(folder)) as redis:
        port = free_port()
        command = [sys.executable, "-m", "uvicorn", "benchmarks.peer_channels:application", "--port", str(port), "--log-level", "error"]
        with running_process(command, port, REDIS_URL=redis.url) as pid:
            yield Running(port, port, (pid,))


_NGINX = """
load_module {module};
worker_processes 1; daemon off; master_process off; pid {folder}/pid; error_log stderr crit;
events {{ worker_connections 30000; }}
http {{
  access_log off; client_body_temp_path {folder}/body; keepalive_requests 100000000;
  server {{
    listen 127.0.0.1:{port} backlog=4096;
    location /pub {{ nchan_publisher; nchan_channel_id bench; nchan_message_buffer_length 100; }}
    location /sub {{ nchan_subscriber websocket; nchan_channel_id bench; nchan_subscriber_first_message newest; }}
  }}
}}
"""


@contextmanager
def _nchan() -> Iterator[Running]:
    with tempfile.TemporaryDirectory(prefix="geostream-bench-") as folder:
        port = free_port()
        config = Path(folder) / "nginx.conf"
        config.write_text(_NGINX.format(module=NCHAN, folder=folder, port=port))
        with running_process(["/usr/sbin/nginx", "-c", str(config), "-p", folder], port) as pid:
            yield Running(port, port, (pid,))


@contextmanager
def _centrifugo() -> Iterator[Running]:
    with tempfile.TemporaryDirectory(prefix="geostream-bench-") as folder:
        port = free_port()
        config = Path(folder) / "config.json"
        config.write_text(
            json.dumps(
                {
                    "http_server": {"port": str(port), "address": "127.0.0.1"},
                    "http_api": {"key": "key"},
                    "client": {"insecure": True, "allowed_origins": ["*"]},
                    "channel": {"without_namespace": {"allow_subscribe_for_client": True, "allow_subscribe_for_anonymous": True}},
                    "log": {"level": "error"},
                }
            )
        )
        with running_process(["centrifugo", "-c", str(config)], port) as pid:
            yield Running(port, port, (pid,))


async def _centrifugo_publisher(running: Running) -> Publish:
    def body(text: str) -> bytes:
        return b'{"channel":"bench","data":' + text.encode() + b"}"

    return await Posting("/api/publish", body, "X-API-Key: key\r\n").open(running.port)


@contextmanager
def _socket_io() -> Iterator[Running]:
    port = free_port()
    with running_process(["node", str(_SOCKET_IO), str(port)], port, NODE_PATH=str(Path(SOCKET_IO).resolve())) as pid:
        yield Running(port, port, (pid,))


@contextmanager
def _mosquitto() -> Iterator[Running]:
    with tempfile.TemporaryDirectory(prefix="geostream-bench-") as folder:
        port, mqtt = free_port(), free_port()
        config = Path(folder) / "mosquitto.conf"
        config.write_text(
            "allow_anonymous true\nmax_queued_messages 100000\nlog_dest none\n"
            f"listener {mqtt} 127.0.0.1\nlistener {port} 127.0.0.1\nprotocol websockets\n"
        )
        with running_process(["mosquitto", "-c", str(config)], port) as pid:
            yield Running(port, mqtt, (pid,))


def _raw(path: str) -> Callable[[Running], Awaitable[Publish]]:
    async def open_one(running: Running) -> Publish:
        return await Posting(path, str.encode).open(running.port)

    return open_one


async def _mqtt_publisher(running: Running) -> Publish:
    return await Mqtt().open(running.publish_port)


def _needs(what: str, found: object) -> str | None:
    return None if found else what


PEERS = (
    Peer("GeoStream, feature", _GEO, _geostream, _feature),
    Peer("Channels group", Client("/ws", (), b""), _channels, _raw("/publish")),
    Peer("nchan", Client("/sub", (), b""), _nchan, _raw("/pub"), _needs("libnginx-mod-nchan", NCHAN.exists())),
    Peer(
        "Centrifugo",
        Client("/connection/websocket", (b'{"id":1,"connect":{}}\n{"id":2,"subscribe":{"channel":"bench"}}',), b'"id":2,"subscribe"'),
        _centrifugo,
        _centrifugo_publisher,
        _needs("centrifugo on PATH", shutil.which("centrifugo")),
    ),
    Peer(
        "Socket.IO",
        Client("/socket.io/?EIO=4&transport=websocket", (b"40",), b"40{"),
        _socket_io,
        _raw("/publish"),
        _needs("socket.io of npm in GEOSTREAM_BENCH_NODE_PATH", (Path(SOCKET_IO) / "socket.io").exists()),
    ),
    Peer(
        "Mosquitto",
        Client("/", (Mqtt.CONNECT, Mqtt.SUBSCRIBE), Mqtt.SUBACK, "mqtt", BINARY),
        _mosquitto,
        _mqtt_publisher,
        _needs("mosquitto", shutil.which("mosquitto")),
    ),
)
