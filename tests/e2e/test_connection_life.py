"""How connections begin, are kept alive and end, on a real server."""

from __future__ import annotations

import signal
import sqlite3
import time
import urllib.parse
import urllib.request
from http.cookiejar import CookieJar
from pathlib import Path
from socket import create_connection

import jwt
import pytest
from websockets.exceptions import ConnectionClosed

from streaming.dialects.geo.messages import Ack, Authenticate, Error, Ping, Pong, SubscribeFeatures
from streaming.server.embedded_redis import RedisService, start_redis
from tests.dialects.geo.vectors import RUST_FIRST_FRAME
from tests.geo_peer import point
from tests.processes import manage, site_environment
from tests.server_process import ServerProcess, free_port

from .conftest import Serve
from .sockets import BareSocket, GeoSocket


@pytest.fixture(scope="module")
def server(usual: ServerProcess) -> ServerProcess:
    """A server with a layer that is not public."""
    usual.publish("secret", point("a", 1, 2))
    status, answer = usual.request("PATCH", "/api/layers/secret", {"public": False})
    assert status == 200, answer
    return usual


@pytest.fixture(scope="module")
def strict(serve: Serve) -> ServerProcess:
    """A server with little patience."""
    return serve(
        data="strict",
        GEOSTREAM_PING_SECONDS="0.3",
        GEOSTREAM_PING_TIMEOUT_SECONDS="1",
        GEOSTREAM_IDLE_SECONDS="3",
        GEOSTREAM_MAX_CONNECTIONS_PER_ADDRESS="4",
        GEOSTREAM_MAX_MESSAGE_BYTES="2000",
        GEOSTREAM_MESSAGES_PER_SECOND="20",
        GEOSTREAM_MESSAGES_BURST="10",
        GEOSTREAM_MAX_BAD_FRAMES="3",
        GEOSTREAM_RECORD_SECONDS="0.1",
    )


def may_read_secret(socket: GeoSocket) -> bool:
    return bool(socket.ask(SubscribeFeatures("s", layer="secret")).success)


def expired_token(server: ServerProcess, seconds: float = -10) -> str:
    """The server's own token with another end."""
    claims = jwt.decode(server.token, server.signing_key, algorithms=["HS256"])
    return jwt.encode({**claims, "exp": int(time.time() + seconds)}, server.signing_key, algorithm="HS256")


def test_nobody_may_read_public_layers_only(server: ServerProcess) -> None:
    server.publish("open", point("a", 1, 2))
    with GeoSocket(server.ws_url) as socket:
        assert not may_read_secret(socket)
        assert socket.subscribe("open").snapshot_count == 1


def test_a_bearer_token_is_believed(server: ServerProcess) -> None:
    with GeoSocket(server.ws_url, headers={"Authorization": f"Bearer {server.log_in()}"}) as socket:
        assert may_read_secret(socket)


@pytest.mark.parametrize("header", ["Bearer nonsense", "Basic YWRtaW46YWRtaW4=", "Bearer "])
def test_a_wrong_authorization_header_is_refused(server: ServerProcess, header: str) -> None:
    with GeoSocket(server.ws_url, headers={"Authorization": header}) as socket:
        assert socket.closed() == 4401


def test_an_expired_token_is_refused(server: ServerProcess) -> None:
    with GeoSocket(server.ws_url, headers={"Authorization": f"Bearer {expired_token(server)}"}) as socket:
        assert socket.closed() == 4401


def test_a_connection_ends_with_its_token(server: ServerProcess) -> None:
    with GeoSocket(server.ws_url, headers={"Authorization": f"Bearer {expired_token(server, 2)}"}) as socket:
        assert may_read_secret(socket)
        while not isinstance(message := socket.next(), Error):
            pass
        assert message.code == "token_expired"
        assert socket.closed() == 4401


def test_a_token_can_be_renewed_by_message(server: ServerProcess) -> None:
    with GeoSocket(server.ws_url) as socket:
        assert not may_read_secret(socket)
        answer = socket.ask(Authenticate(server.token))
        assert isinstance(answer, Ack) and answer.success
        assert may_read_secret(socket)


def test_a_wrong_token_by_message_is_refused_and_changes_nothing(server: ServerProcess) -> None:
    with GeoSocket(server.ws_url, headers={"Authorization": f"Bearer {server.token}"}) as socket:
        assert not socket.ask(Authenticate("nonsense", request_id="r")).success
        assert may_read_secret(socket)


def test_a_token_in_the_url_is_not_accepted(server: ServerProcess) -> None:
    for name in ("token", "access_token", "jwt"):
        with GeoSocket(f"{server.ws_url}?{name}={server.token}") as socket:
            assert not may_read_secret(socket)


def test_a_token_is_no_ticket(server: ServerProcess) -> None:
    with GeoSocket(f"{server.ws_url}?ticket={server.token}") as socket:
        assert socket.closed() == 4401


def test_a_ticket_works_once(server: ServerProcess) -> None:
    status, answer = server.post("/api/ticket/", {})
    assert status in {200, 201}, answer
    url = f"{server.ws_url}?ticket={answer['ticket']}"
    with GeoSocket(url) as socket:
        assert may_read_secret(socket)
    with GeoSocket(url) as socket:
        assert socket.closed() == 4401


@pytest.fixture(scope="module")
def cookie(server: ServerProcess) -> str:
    """Of the session of a superuser."""
    jar = CookieJar()
    browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(jar))
    browser.open(f"{server.url}/admin/login/").close()
    csrf = next(cookie.value for cookie in jar if cookie.name == "csrftoken")
    form = urllib.parse.urlencode({"username": "admin", "password": "admin", "csrfmiddlewaretoken": csrf or ""}).encode()
    browser.open(f"{server.url}/admin/login/?next=/healthz", form).close()
    return next(f"sessionid={cookie.value}" for cookie in jar if cookie.name == "sessionid")


def test_a_page_of_this_site_has_the_rights_of_its_session(server: ServerProcess, cookie: str) -> None:
    with GeoSocket(server.ws_url, origin=server.url, headers={"Cookie": cookie}) as socket:
        assert may_read_secret(socket)


def test_a_page_of_another_site_is_refused_whatever_its_cookies(server: ServerProcess, cookie: str) -> None:
    for origin in ("http://evil.example", f"{server.url}.evil.example", "null"):
        with GeoSocket(server.ws_url, origin=origin, headers={"Cookie": cookie}) as socket:
            assert socket.closed() == 4403


@pytest.mark.parametrize("origin", ["http://[", "http://", "", "nonsense"])
def test_an_origin_that_is_none_is_refused(server: ServerProcess, cookie: str, origin: str) -> None:
    with GeoSocket(server.ws_url, origin=origin, headers={"Cookie": cookie}) as socket:
        assert not origin or socket.closed() == 4403
        assert origin or not may_read_secret(socket)


def test_a_page_whose_name_was_pointed_at_this_server_is_refused(server: ServerProcess) -> None:
    headers = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
    with create_connection(("127.0.0.1", server.port), timeout=10) as raw:
        raw.sendall(f"GET /ws HTTP/1.1\r\nHost: evil.example\r\nOrigin: http://evil.example\r\n{headers}\r\n".encode())
        refusal, answer = (4403).to_bytes(2, "big"), b""
        while refusal not in answer:  # it waits for our answer to its close frame: that is not of interest
            more = raw.recv(4096)
            assert more, answer
            answer += more


def test_a_cookie_without_an_origin_is_not_looked_at(server: ServerProcess, cookie: str) -> None:
    with GeoSocket(server.ws_url, headers={"Cookie": cookie}) as socket:
        assert not may_read_secret(socket)


def test_a_path_without_an_endpoint_is_closed_with_4404(server: ServerProcess) -> None:
    with GeoSocket(server.ws_url + "/nowhere") as socket:
        assert socket.closed() == 4404


def test_a_client_without_a_subscription_is_closed_when_idle(strict: ServerProcess) -> None:
    started = time.monotonic()
    with GeoSocket(strict.ws_url) as socket:
        assert socket.closed() == 4508
    assert time.monotonic() - started > 2.5


def test_a_subscriber_is_not_idle(strict: ServerProcess) -> None:
    strict.publish("l", point("a", 1, 2))
    with GeoSocket(strict.ws_url) as socket:
        socket.subscribe("l", snapshot=False)
        with pytest.raises(TimeoutError):
            socket.receive(timeout=4.5)
        assert socket.ask(Ping(1)) == Pong(1)


def test_one_address_may_have_so_many_connections(strict: ServerProcess) -> None:
    open_ones = [GeoSocket(strict.ws_url) for _ in range(4)]
    try:
        assert all(socket.ask(Ping(1)) == Pong(1) for socket in open_ones)
        with GeoSocket(strict.ws_url) as one_more:
            assert one_more.closed() == 4529
        open_ones.pop().close()
        deadline = time.monotonic() + 5
        while True:
            with GeoSocket(strict.ws_url) as again:
                try:
                    assert again.ask(Ping(1)) == Pong(1)
                    break
                except ConnectionClosed:
                    assert time.monotonic() < deadline
    finally:
        for socket in open_ones:
            socket.close()


def test_a_message_that_is_too_big_closes_with_1009(strict: ServerProcess) -> None:
    with GeoSocket(strict.ws_url) as socket:
        socket.send('{"type":"ping","id":1,"x":"' + "x" * 3000 + '"}')
        assert socket.closed() == 1009


def test_too_many_unreadable_frames_close_with_4400(strict: ServerProcess) -> None:
    with GeoSocket(strict.ws_url) as socket:
        for _ in range(3):
            socket.send(b"\x00")
        assert socket.closed() == 4400


def test_a_wrong_version_closes_with_4400(server: ServerProcess) -> None:
    with GeoSocket(server.ws_url) as socket:
        assert socket.ask('{"type":"handshake","version":9,"format":"Json","compression":"None"}').code == "unsupported_version"
        assert socket.closed() == 4400


def test_a_client_that_sends_too_fast_is_slowed_down_and_answered(strict: ServerProcess) -> None:
    with GeoSocket(strict.ws_url) as socket:
        started = time.monotonic()
        for number in range(30):
            socket.send(Ping(number))
        assert [socket.receive() for _ in range(30)] == [Pong(number) for number in range(30)]
        assert 0.8 < time.monotonic() - started < 4


def test_a_client_that_does_not_answer_pings_is_closed(strict: ServerProcess) -> None:
    bare = BareSocket(strict.port)
    with bare.tcp:
        bare.send(b'{"type":"ping","id":1}')
        opcodes = []
        while not opcodes or opcodes[-1] != 8:
            opcode, payload = bare.frame()
            opcodes.append(opcode)
        assert opcodes == [1, 9, 8]
        assert int.from_bytes(payload[:2], "big") == 4530


def test_the_upstream_rust_client_is_never_pinged(strict: ServerProcess) -> None:
    bare = BareSocket(strict.port)
    with bare.tcp:
        bare.send(RUST_FIRST_FRAME)
        assert bare.frame()[0] == 2
        bare.send(bytes.fromhex("95") + b"\xb2subscribe_features\xa1s\xc0\xc0\xa1l")
        assert bare.frame()[0] == 2
        bare.tcp.settimeout(2.5)
        with pytest.raises(TimeoutError):
            bare.frame()


def test_a_deactivated_user_is_disconnected(strict: ServerProcess) -> None:
    strict.publish("l")
    database = sqlite3.connect(strict.data_dir / "geostream.sqlite3", timeout=20)
    with GeoSocket(strict.ws_url, headers={"Authorization": f"Bearer {strict.token}"}) as socket:
        socket.subscribe("l", snapshot=False)
        with database:
            database.execute("UPDATE auth_user SET is_active = 0 WHERE username = 'admin'")
        try:
            assert socket.closed(timeout=20) == 4401  # logins are reviewed every few seconds
        finally:
            with database:
                database.execute("UPDATE auth_user SET is_active = 1 WHERE username = 'admin'")
            database.close()


def test_sigterm_tells_clients_to_come_back(serve: Serve) -> None:
    server = serve(data="ending")
    with GeoSocket(server.ws_url) as idle, GeoSocket(server.ws_url) as subscriber:
        server.publish("l", point("a", 1, 2))
        subscriber.subscribe("l")
        assert server.process is not None
        server.process.send_signal(signal.SIGTERM)
        assert (idle.closed(), subscriber.closed()) == (1012, 1012)
    assert server.stop() in {0, -signal.SIGTERM}


def test_readyz_says_what_is_missing(serve: Serve, tmp_path: Path) -> None:
    with start_redis(tmp_path) as own:
        server = serve(data="readyz", redis_url=own.url)
        assert server.request("GET", "/readyz", token="")[0] == 200
        own.stop()
        status, answer = server.request("GET", "/readyz", token="")
        assert status == 503
        assert answer == {"ready": False, "checks": {"redis": False, "database": True, "hub": True, "bus": False}}
        assert server.request("GET", "/healthz", token="")[0] == 200


def test_serving_is_refused_on_a_database_that_is_behind(tmp_path: Path, module_redis: RedisService) -> None:
    done = manage("serve", "--port", free_port(), env=site_environment(tmp_path, module_redis.url), check=False)
    assert done.returncode == 1
    assert "python manage.py migrate" in done.stderr and "Traceback" not in done.stderr
