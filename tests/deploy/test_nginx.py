"""What `deploy/nginx.conf` lets through, and how: a real nginx in front of a real server, with TLS between it and the clients.

Outside the site, nginx's own time limits are a second here, for those that the site sets to show within seconds.
"""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.client import HTTPSConnection
from http.cookies import SimpleCookie
from pathlib import Path

import pytest

from streaming.engine.conf import conf
from streaming.server.embedded_redis import start_redis
from tests.geo_peer import point
from tests.server_process import ServerProcess

from .programs import DEPLOY
from .proxy import DEFAULT_SECONDS, HOST, Proxy, proxy, read

pytestmark = pytest.mark.long_form(only=True)

SILENCE = 3 * DEFAULT_SECONDS
LARGE = 12
"""Features of 0.9 MB: more together than the buffers of nginx and the system take, less than GEOSTREAM_OUTBOX_BYTES."""
ENVIRONMENT = {
    "GEOSTREAM_DEBUG": "False",
    "GEOSTREAM_SECRET_KEY": "wX3f8mB2nS9tYeU5rHdPzLaq7vJ0cQ4K",
    "GEOSTREAM_ALLOWED_HOSTS": f"{HOST},127.0.0.1",
    "GEOSTREAM_PING_SECONDS": "0",
    "GEOSTREAM_RECORD_SECONDS": "0.1",
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, migrated_database: Path) -> Iterator[ServerProcess]:
    """A server as in production, of two processes, but that it pings nobody."""
    folder = tmp_path_factory.mktemp("behind-nginx")
    shutil.copy(migrated_database, folder / "geostream.sqlite3")
    with start_redis(folder / "redis") as redis:
        running = ServerProcess(folder, redis.url, ENVIRONMENT)
        running.options = ("--workers", "2")
        running.start()
        yield running
        running.stop()


@pytest.fixture(scope="module")
def site(server: ServerProcess, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    with proxy(tmp_path_factory.mktemp("nginx"), server.port) as running:
        yield running


def line(feature: dict[str, object]) -> bytes:
    return json.dumps(feature).encode() + b"\n"


@contextmanager
def upload(site: Proxy, server: ServerProcess, layer: str) -> Iterator[HTTPSConnection]:
    """A request whose body of lines has no end yet."""
    with closing(site.connection()) as connection:
        connection.putrequest("POST", f"/api/layers/{layer}/features", skip_host=True)
        for name, value in {"Host": site.host, **publishing(server), "Transfer-Encoding": "chunked"}.items():
            connection.putheader(name, value)
        connection.endheaders()
        yield connection


def publishing(server: ServerProcess) -> dict[str, str]:
    """Headers of a request that publishes lines."""
    return {"Authorization": f"Bearer {server.token}", "Content-Type": "application/geo+json-seq"}


def test_nginx_accepts_the_site_without_a_warning(site: Proxy) -> None:
    status, said = site.check()
    assert status == 0 and not re.search(r"\[(warn|error|emerg)\]", said), said


async def test_what_is_published_reaches_a_subscriber_on_the_other_side(site: Proxy, server: ServerProcess) -> None:
    server.publish("live", point("b", 2, 2))
    async with site.socket() as socket:
        await socket.subscribe("live")
        answer = await asyncio.to_thread(site.request, "POST", "/api/layers/live/features", line(point("a", 1, 1)), **publishing(server))
        assert answer.status == 200
        assert await socket.next_feature() == "a"


async def test_a_silent_socket_stays(site: Proxy) -> None:
    async with site.socket() as socket:
        await asyncio.sleep(SILENCE)
        assert await socket.answers()


async def test_a_client_may_take_its_time_to_read(site: Proxy, server: ServerProcess) -> None:
    server.publish("wide", point("zeroth", 1, 1))
    async with site.socket(receive_buffer=1 << 16) as socket:
        await socket.subscribe("wide")
        server.publish("wide", *(point(str(number), 1, 1, text="x" * 900_000) for number in range(LARGE)))
        await asyncio.sleep(SILENCE)
        assert [await socket.next_feature() for _ in range(LARGE)] == [str(number) for number in range(LARGE)]


async def test_lines_are_published_while_they_arrive_however_slowly(site: Proxy, server: ServerProcess) -> None:
    server.publish("slow", point("zeroth", 1, 1))
    async with site.socket() as socket:
        await socket.subscribe("slow")
        with upload(site, server, "slow") as request:
            for name in ("first", "second"):
                data = line(point(name, 1, 1))
                request.send(f"{len(data):x}\r\n".encode() + data + b"\r\n")
                assert await socket.next_feature() == name
                await asyncio.sleep(SILENCE)
            request.send(b"0\r\n\r\n")
            answer = read(request)
    assert answer.status == 200 and json.loads(answer.body)["added"] == 2


def test_an_upload_of_lines_has_no_limit(site: Proxy, server: ServerProcess) -> None:
    text = "x" * 900_000
    count = conf.MAX_BODY_BYTES // len(text) + 2
    lines = (line(point("large", number / 10, 1, text=text)) for number in range(count))
    answer = site.request("POST", "/api/layers/large/features", lines, **publishing(server))
    said = json.loads(answer.body)
    assert (answer.status, said["added"], said["updated"]) == (200, 1, count - 1)
    assert not list((site.folder / "body").rglob("*"))


def test_elsewhere_a_body_has_the_servers_own_limit(site: Proxy) -> None:
    assert re.search(rf"^    client_max_body_size {conf.MAX_BODY_BYTES >> 20}m;", (DEPLOY / "nginx.conf").read_text(), re.M)
    with closing(site.connection()) as connection:
        connection.putrequest("POST", "/token", skip_host=True)
        connection.putheader("Host", site.host)
        connection.putheader("Content-Length", str(conf.MAX_BODY_BYTES + 1))
        connection.endheaders()
        assert read(connection).status == 413


async def test_a_page_of_the_site_may_open_a_socket_and_others_may_not(site: Proxy) -> None:
    async with site.socket(origin=f"https://{site.host}") as socket:
        assert await socket.answers()
    async with site.socket(origin="https://elsewhere.example.org") as socket:
        assert await socket.closed() in range(4000, 5000)


def test_one_can_log_in_to_the_admin(site: Proxy) -> None:
    page = site.request("GET", "/admin/login/")
    cookies = SimpleCookie("; ".join(page.headers.get_all("Set-Cookie", [])))
    assert cookies["csrftoken"]["secure"]
    form = re.search(rb'name="csrfmiddlewaretoken" value="(\w+)"', page.body)
    assert form is not None
    answer = site.request(
        "POST",
        "/admin/login/?next=/admin/",
        f"username=admin&password=admin&csrfmiddlewaretoken={form[1].decode()}",
        **{
            "Content-Type": "application/x-www-form-urlencoded",
            "Cookie": f"csrftoken={cookies['csrftoken'].value}",
            "Origin": f"https://{site.host}",
        },
    )
    assert (answer.status, answer.headers["Location"]) == (302, "/admin/")


async def test_the_server_knows_where_its_clients_are_whatever_they_claim(site: Proxy, server: ServerProcess) -> None:
    async with site.socket(source="127.0.0.9", additional_headers={"X-Forwarded-For": "192.0.2.1", "Forwarded": "for=192.0.2.1"}) as socket:
        assert await socket.answers()
        deadline = time.monotonic() + 15
        while ("127.0.0.9",) not in (known := addresses(server)):
            assert time.monotonic() < deadline, known
            await asyncio.sleep(0.05)
    assert ("192.0.2.1",) not in known


def addresses(server: ServerProcess) -> list[tuple[str]]:
    with sqlite3.connect(server.data_dir / "geostream.sqlite3") as database:
        return database.execute("SELECT address FROM streaming_connection").fetchall()


def test_metrics_are_not_for_everybody(site: Proxy, server: ServerProcess) -> None:
    assert site.request("GET", "/metrics").status == 403
    assert server.request("GET", "/metrics", token="")[0] == 200


async def test_what_is_secret_in_an_address_is_not_logged(site: Proxy) -> None:
    async with site.socket("/ws?token=s3cr3t") as socket:
        await socket.websocket.close()
    site.request("GET", "/healthz?token=s3cr3t", Referer=f"https://{site.host}/?token=s3cr3t")
    deadline = time.monotonic() + 10
    while not {"GET /ws ", "GET /healthz "} <= set(re.findall(r"GET /\w+ ", log := site.access_log.read_text())):
        assert time.monotonic() < deadline, log
        await asyncio.sleep(0.05)
    assert "s3cr3t" not in log


def test_the_id_of_a_request_is_in_the_log_and_the_answer(site: Proxy) -> None:
    answer = site.request("GET", "/healthz?id")
    deadline = time.monotonic() + 10
    while f" {answer.headers['X-Request-ID']} " not in site.access_log.read_text():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_static_files_are_kept_for_a_while(site: Proxy) -> None:
    first = site.request("GET", "/static/streaming/geostream.js")
    assert first.status == 200 and "max-age=" in first.headers["Cache-Control"]
    kept = [path.read_bytes() for path in (site.folder / "geostream").rglob("*") if path.is_file()]
    assert any(first.body in each for each in kept)


def test_large_answers_are_compressed(site: Proxy) -> None:
    answer = site.request("GET", "/static/streaming/demo/countries-110m.geojson", **{"Accept-Encoding": "gzip"})
    assert answer.headers["Content-Encoding"] == "gzip"


def test_whoever_comes_without_tls_is_sent_to_it(site: Proxy) -> None:
    answer = site.plain("/admin/?next=/")
    assert (answer.status, answer.headers["Location"]) == (301, f"https://{HOST}/admin/?next=/")


async def test_a_restart_of_the_server_reaches_the_clients_as_one(site: Proxy, server: ServerProcess) -> None:
    async with site.socket() as socket:
        await asyncio.to_thread(server.stop)
        assert await socket.closed() == 1012
    assert site.request("GET", "/healthz").status == 502
    await asyncio.to_thread(server.start)
    async with site.socket() as socket:
        assert await socket.answers()


async def test_any_path_may_be_a_socket(site: Proxy) -> None:
    for path in ("/ws/redis", "/socket/websocket?vsn=2.0.0", "/websocket"):
        async with site.socket(path) as socket:
            assert socket.websocket.response is not None and socket.websocket.response.status_code == 101
