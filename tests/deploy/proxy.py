"""A real nginx with the site of `deploy/nginx.conf`, on other ports, with a certificate made for it, in front of a server."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import socket
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection, HTTPMessage, HTTPSConnection
from ipaddress import ip_address
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from streaming.dialects.geo.codec import JSON_TEXT, decode, encode
from streaming.dialects.geo.messages import Ack, FeatureData, Message, Ping, Pong, SubscribeFeatures
from tests.conftest import missing
from tests.server_process import free_port

from .programs import DEPLOY, USUAL_PATH, finished, running

SECONDS = 10.0
HOST = "maps.example.org"
DEFAULT_SECONDS = 1
"""What stands for the 60 seconds after which nginx, unless told otherwise, ends what is silent."""
MAIN = """\
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log stderr notice;
{user}
events {{ worker_connections 256; }}
http {{
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    client_body_timeout {seconds}s;
    proxy_read_timeout {seconds}s;
    proxy_send_timeout {seconds}s;
    send_timeout {seconds}s;
    include {folder}/site.conf;
}}
"""


def make_certificate(folder: Path) -> None:
    """A certificate that signs itself, and its key: `fullchain.pem`, `privkey.pem`."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, HOST)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(issuer_name=name, subject_name=name, public_key=key.public_key(), serial_number=1)
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(HOST), x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(key, SHA256())
    )
    (folder / "fullchain.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / "privkey.pem").write_bytes(pem)


class Answer(NamedTuple):
    """What came back for a request."""

    status: int
    headers: HTTPMessage
    body: bytes


def read(connection: HTTPConnection) -> Answer:
    """The answer to the request that was sent on a connection."""
    response = connection.getresponse()
    return Answer(response.status, response.headers, response.read())


class Proxy:
    """nginx, and clients that speak to it."""

    def __init__(self, folder: Path, server_port: int) -> None:
        self.folder = folder
        self.port, self.plain_port = free_port(), free_port()
        self.access_log = folder / "geostream.log"
        make_certificate(folder)
        self.tls = ssl.create_default_context(cafile=str(folder / "fullchain.pem"))
        (folder / "site.conf").write_text(self._site(server_port))
        user = "user root;" if os.getuid() == 0 else ""  # its folders are this user's
        (folder / "nginx.conf").write_text(MAIN.format(folder=folder, user=user, seconds=DEFAULT_SECONDS))

    def _site(self, server_port: int) -> str:
        """The site as it is in `deploy/`, but for its ports, files and the server's address."""
        site = (DEPLOY / "nginx.conf").read_text()
        for pattern, here in (
            (r"\n +listen \[::\]:\d+[^;]*;", ""),  # there need not be IPv6
            (r"listen 443 ", f"listen 127.0.0.1:{self.port} "),
            (r"listen 80;", f"listen 127.0.0.1:{self.plain_port};"),
            (r"/etc/letsencrypt/live/[\w.]+/", f"{self.folder}/"),
            (r"/var/log/nginx/", f"{self.folder}/"),
            (r"/var/lib/nginx/", f"{self.folder}/"),
            (r"server 127\.0\.0\.1:8000;", f"server 127.0.0.1:{server_port};"),
        ):
            site, count = re.subn(pattern, here, site)
            assert count, pattern
        return site

    @property
    def command(self) -> list[str]:
        program = shutil.which("nginx", path=USUAL_PATH) or shutil.which("nginx")
        if program is None:
            missing("nginx")
        return [str(program), "-e", "stderr", "-p", str(self.folder), "-c", str(self.folder / "nginx.conf")]

    def check(self) -> tuple[int, str]:
        """What `nginx -t` says."""
        run = finished([*self.command, "-t"], self.folder, {})
        return run.returncode, run.stderr

    def answers(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
        except OSError:
            return False
        return True

    @property
    def host(self) -> str:
        """What browsers send as `Host`."""
        return f"{HOST}:{self.port}"

    def connection(self, source: str = "127.0.0.1") -> HTTPSConnection:
        """A connection for HTTP, from an address of this machine."""
        return HTTPSConnection("127.0.0.1", self.port, timeout=20, context=self.tls, source_address=(source, 0))

    def request(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        """The answer to one request."""
        with closing(self.connection()) as connection:
            connection.request(method, path, body, {"Host": self.host, **headers})
            return read(connection)

    def plain(self, path: str) -> Answer:
        """The answer to a request without TLS."""
        with closing(HTTPConnection("127.0.0.1", self.plain_port, timeout=20)) as connection:
            connection.request("GET", path, headers={"Host": HOST})
            return read(connection)

    @asynccontextmanager
    async def socket(self, path: str = "/ws", source: str = "127.0.0.1", receive_buffer: int = 0, **options: Any) -> AsyncIterator[Socket]:
        """A WebSocket of the geo protocol, from an address of this machine."""
        tcp = socket.socket()
        if receive_buffer:
            tcp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        tcp.bind((source, 0))
        tcp.connect(("127.0.0.1", self.port))
        tcp.setblocking(False)
        connecting = connect(
            f"wss://{self.host}{path}",
            sock=tcp,
            ssl=self.tls,
            server_hostname=HOST,
            compression=None,
            max_queue=1,
            max_size=1 << 21,
            ping_interval=None,
            proxy=None,
            **options,
        )
        async with connecting as websocket:
            yield Socket(websocket)


class Socket:
    """One WebSocket through nginx, in JSON."""

    def __init__(self, websocket: ClientConnection) -> None:
        self.websocket = websocket

    async def ask(self, message: Message) -> Message:
        """The message that comes after one is sent."""
        await self.websocket.send(encode(message, JSON_TEXT).decode())
        return await self.receive()

    async def receive(self) -> Message:
        """The next message."""
        async with asyncio.timeout(SECONDS):
            return decode(await self.websocket.recv(), max_size=1 << 21, max_decompressed=1 << 21)[0]

    async def answers(self) -> bool:
        """Whether the server is at the other end."""
        return isinstance(await self.ask(Ping(1)), Pong)

    async def subscribe(self, layer: str) -> None:
        """Hear of the changes of a layer from now on."""
        answer = await self.ask(SubscribeFeatures("s", layer=layer, snapshot=False))
        assert isinstance(answer, Ack) and answer.success, answer

    async def next_feature(self) -> str:
        """The id of the feature that the next message is about."""
        message = await self.receive()
        assert isinstance(message, FeatureData), message
        return str(json.loads(message.geojson)["id"])

    async def closed(self) -> int:
        """The code of the close that comes next."""
        with pytest.raises(ConnectionClosed) as error:
            await self.receive()
        assert error.value.rcvd is not None, error.value
        return int(error.value.rcvd.code)


@contextmanager
def proxy(folder: Path, server_port: int) -> Iterator[Proxy]:
    """nginx in front of the server at a port of this machine."""
    made = Proxy(folder, server_port)
    with running(made.command, folder, {}, folder / "log") as program:
        program.wait_until(made.answers)
        yield made


__all__ = ["DEFAULT_SECONDS", "Proxy", "proxy", "read"]
