"""How a socket opens, and what is refused before it does."""

from __future__ import annotations

from base64 import b64encode, urlsafe_b64encode
from typing import Any

import pytest
from websockets.exceptions import InvalidStatus

from streaming.topics.tokens import mint
from tests.e2e.conftest import Serve
from tests.server_process import ServerProcess

from .conftest import Connect
from .peer import PhoenixPeer
from .sockets import PhoenixSocket
from .vectors import session

BEARER = "base64url.bearer.phx."
RECORDED = [
    (event["text"].split()[0].removeprefix("/socket/websocket").removeprefix("?"), event["what"] == "OPEN")
    for event in session("handshakes")
    if event["what"] in {"OPEN", "FAIL"} and "{" not in event["text"] and "token=" not in event["text"]
]


def bearer(token: str, encode: Any = b64encode) -> str:
    return BEARER + encode(token.encode()).decode().rstrip("=")


@pytest.mark.parametrize(("query", "opens"), RECORDED, ids=lambda value: str(value) or "nothing")
async def test_versions_are_taken_as_by_phoenix(runtime: None, query: str, opens: bool) -> None:
    peer = PhoenixPeer(query)
    if opens:
        await peer.connect()
    else:
        assert await peer.denied() == 403
    await peer.close()


async def test_other_versions_are_refused(runtime: None) -> None:
    for vsn in ("2", "2.1.0", "", "2.0.0-rc", "02.0.0", "2.0.0%00"):
        assert await PhoenixPeer(f"vsn={vsn}").denied() == 403


async def test_other_parameters_do_not_matter(phoenix: Connect) -> None:
    for query in ("&vsn=2.0.0", "a[b]=c&vsn=2.0.0", "vsn=2.0.0&vsn=9", "userToken=a&userToken=b&vsn=2.0.0", "token=%ff&vsn=2.0.0"):
        await (await phoenix(query)).receive_nothing()


async def test_without_a_version_it_is_the_first(phoenix: Connect) -> None:
    peer = await phoenix("")
    await peer.send_text('{"topic":"phoenix","event":"heartbeat","payload":{},"ref":"1"}')
    assert await peer.receive() == {"topic": "phoenix", "event": "phx_reply", "payload": {"status": "ok", "response": {}}, "ref": "1"}


@pytest.mark.parametrize("parameter", ["userToken", "token"])
async def test_a_token_of_the_query_opens_topics(phoenix: Connect, parameter: str) -> None:
    peer = await phoenix(f"vsn=2.0.0&{parameter}={mint('alice', 'room:*')}")
    await peer.join("room:1", "1")
    await peer.join("room:2", "2")
    assert (await peer.ask("3", "3", "hall", "phx_join", {}))[0] == "error"


async def test_the_token_of_a_join_comes_before_that_of_the_query(phoenix: Connect) -> None:
    peer = await phoenix(f"vsn=2.0.0&userToken={mint('alice', 'room:1')}")
    status, response = await peer.ask("1", "1", "room:1", "phx_join", {"token": mint("alice", "room:2")})
    assert (status, response) == ("error", {"reason": "unauthorized"})


async def test_a_token_that_is_none_opens_the_socket_but_no_topic(phoenix: Connect) -> None:
    peer = await phoenix("vsn=2.0.0&userToken=garbage")
    assert await peer.ask("1", "1", "room:1", "phx_join", {}) == ("error", {"reason": "unauthorized"})


@pytest.mark.parametrize("encode", [b64encode, urlsafe_b64encode])
async def test_a_token_among_the_subprotocols_is_base64_of_either_alphabet(phoenix: Connect, encode: Any) -> None:
    token = mint("alice~~~???", "room:1")
    peer = await phoenix(subprotocols=["phoenix", bearer(token, encode)])
    await peer.join("room:1")
    assert peer.connection.channel_token == token


async def test_a_token_among_the_subprotocols_comes_before_that_of_the_query(phoenix: Connect) -> None:
    peer = await phoenix("vsn=2.0.0&userToken=garbage", subprotocols=["phoenix", bearer(mint("alice", "room:1"))])
    await peer.join("room:1")


async def test_a_token_alone_is_accepted_without_a_subprotocol(phoenix: Connect) -> None:
    peer = await phoenix(subprotocols=[bearer(mint("alice", "room:1"))])
    assert "subprotocol" not in peer.accepted
    await peer.join("room:1")


@pytest.mark.parametrize("offered", [["other"], ["graphql-ws", "mqtt"], ["phoenix", f"{BEARER}%%%"], ["phoenix", f"{BEARER}/w"]])
async def test_subprotocols_that_say_nothing_here_are_refused(runtime: None, offered: list[str]) -> None:
    peer = PhoenixPeer(subprotocols=offered)
    assert await peer.denied() == 403
    await peer.close()


async def test_others_may_be_offered_beside_phoenix(phoenix: Connect) -> None:
    assert (await phoenix(subprotocols=["other", "phoenix"])).accepted["subprotocol"] == "phoenix"


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "nonsense"])
async def test_a_page_of_another_site_is_refused(runtime: None, origin: str) -> None:
    peer = PhoenixPeer(headers=[(b"host", b"testserver"), (b"origin", origin.encode())])
    assert await peer.denied() == 403
    await peer.close()


async def test_a_page_of_this_site_is_not(phoenix: Connect) -> None:
    await phoenix(headers=[(b"host", b"testserver"), (b"origin", b"http://testserver")])


async def test_too_many_connections_are_refused_before_they_open(phoenix: Connect, settings: Any) -> None:
    settings.GEOSTREAM_MAX_CONNECTIONS_PER_ADDRESS = 1
    await phoenix()
    peer = PhoenixPeer()
    assert await peer.denied() == 429
    await peer.close()


async def test_no_other_address_is_an_endpoint(runtime: None) -> None:
    peer = PhoenixPeer(path="/websocket/other")
    await peer.open_anyhow()
    assert (await peer.closed())[0] == 4404
    await peer.close()


# -- on real sockets -----------------------------------------------------------


@pytest.fixture(scope="module", params=["serve", "runserver"])
def any_server(serve: Serve, request: pytest.FixtureRequest) -> ServerProcess:
    """Uvicorn as GeoStream runs it, and daphne."""
    return serve(request.param, GEOSTREAM_TOPICS="tests.dialects.phoenix.topics")


@pytest.mark.parametrize("path", ["/websocket", "/socket/websocket", "/websocket/websocket"])
def test_it_opens_on_a_server(any_server: ServerProcess, path: str) -> None:
    with PhoenixSocket(any_server, f"{path}?vsn=2.0.0", subprotocols=["phoenix", bearer("x")]) as socket:
        assert socket.websocket.subprotocol == "phoenix"
        assert socket.heartbeat() == [None, "1", "phoenix", "phx_reply", {"status": "ok", "response": {}}]


@pytest.mark.parametrize(
    "options",
    [{"path": "/websocket?vsn=3.0.0"}, {"origin": "http://evil.example"}, {"subprotocols": ["other"]}],
    ids=["version", "origin", "subprotocol"],
)
def test_refusals_are_403_on_a_server(any_server: ServerProcess, options: dict[str, Any]) -> None:
    with pytest.raises(InvalidStatus) as refused:
        PhoenixSocket(any_server, **options)
    assert refused.value.response.status_code == 403


def test_no_server_logs_what_is_in_a_query(any_server: ServerProcess) -> None:
    for path in ("/longpol", "/longpoll", "/healthz"):  # each is logged, if it is, before the next is answered
        any_server.request("GET", f"{path}?vsn=3.0.0&userToken=confidential", token="")
    with pytest.raises(InvalidStatus):
        PhoenixSocket(any_server, "/websocket?vsn=3.0.0&userToken=confidential")
    log = any_server.log.read_text()
    assert "Not Found: /longpol" in log
    assert "confidential" not in log


def test_a_server_speaks_both_versions_and_binary(any_server: ServerProcess) -> None:
    with PhoenixSocket(any_server) as second, PhoenixSocket(any_server, "/websocket?vsn=1.0.0") as first:
        second.send("1", "1", "room:1", "phx_join", {})
        assert second.receive() == ["1", "1", "room:1", "phx_reply", {"status": "ok", "response": {}}]
        first.websocket.send('{"topic":"room:1","event":"phx_join","payload":{},"ref":"1"}')
        assert first.receive()["payload"]["status"] == "ok"
        second.send("1", "2", "room:1", "shout", {"n": 1})
        assert second.receive() == [None, None, "room:1", "shout", {"n": 1}]
        assert first.receive() == {"topic": "room:1", "event": "shout", "payload": {"n": 1}, "ref": None}
        second.websocket.send(bytes.fromhex("00010106043132726f6f6d3a316563686f0102ff"))
        assert second.websocket.recv(5) == bytes.fromhex("01010106023132726f6f6d3a316f6b0102ff")
