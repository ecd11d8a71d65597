"""Long polling: the same channels as over a WebSocket, a request at a time."""

from __future__ import annotations

import asyncio
import json
import re
from base64 import b64encode
from typing import Any

import pytest

from streaming.dialects.phoenix import longpoll
from streaming.dialects.phoenix.polls import Polls
from streaming.engine.runtime import Runtime
from streaming.topics.tokens import mint

from .backend import Backend
from .conftest import Connect
from .peer import encoded
from .poller import TIMEOUT, Poller
from .vectors import session

pytestmark = pytest.mark.usefixtures("runtime")

EVIL = "http://evil.example"
RECORDED = re.compile(r"token=(?P<token>\S+) (?P<headers>.*?) body=(?P<body>.*?) -> 200 (?P<answered>\{.*?\}) (?P<answer>.*)", re.DOTALL)
ELSEWHERE = {
    4: "a token in a header is taken since 1.8.10",
    5: "a binary reply goes as text: as it was recorded no client can read it",
}


@pytest.fixture
async def poller(own_topics: None) -> Poller:
    return await Poller().open()


@pytest.fixture
def quick_polls(monkeypatch: pytest.MonkeyPatch) -> None:
    """Polls without news are answered soon."""
    monkeypatch.setattr(longpoll, "POLL_SECONDS", 0.05)


async def polls(runtime: Runtime) -> None:
    """The only client's poll waits."""
    (peer,) = runtime.connections.open.values()
    async with asyncio.timeout(TIMEOUT):
        while not peer.sender.polling:  # type: ignore[attr-defined]  # of those that poll
            await asyncio.sleep(0)


def without_order(text: str) -> Any:
    """What a JSON answer says, with the frames in it decoded and its token made out."""
    answer = json.loads(text) if text else None
    if answer and "token" in answer:
        answer["token"] = "<TOKEN>"
    if answer and "messages" in answer:
        answer["messages"] = [json.loads(message) for message in answer["messages"]]
    return answer


async def test_the_session_recorded_with_phoenix(own_topics: None) -> None:
    poller = Poller()
    for number, event in enumerate(session("longpoll")):
        if number in ELSEWHERE:
            continue
        recorded = RECORDED.fullmatch(event["text"])
        assert recorded is not None
        if recorded["token"] == "-":
            poller.token = ""
        headers = json.loads(recorded["headers"].replace("'", '"') or "{}")
        headers.pop("content-type", None)
        body = "" if recorded["body"] == "None" else recorded["body"][1:-1].replace("\\n", "\n")
        before = poller.token
        answer = await poller.request(event["http"], body.encode(), **headers)
        assert answer.status == 200
        assert without_order(answer.content.decode()) == without_order(recorded["answer"]), number
        _compare_headers(answer.headers, json.loads(recorded["answered"]))
        poller.token = before or json.loads(answer.content or "{}").get("token", "")


def _compare_headers(told: Any, recorded: dict[str, str]) -> None:
    for name, value in recorded.items():
        if name == "content-type":
            assert told[name] == value.partition(";")[0]
        elif name != "cache-control" or "access-control-max-age" not in recorded:
            assert told[name].lower() == value


# -- what is said and told -----------------------------------------------------


async def test_a_token_in_a_header_is_the_same(poller: Poller) -> None:
    token, poller.token = poller.token, ""
    assert await poller.say(["1", "1", "room:1", "phx_join", {}], X_Phoenix_Longpoll_Token=token) == 200
    assert (await poller.poll(X_Phoenix_Longpoll_Token=token))[0] == 200


async def test_a_poll_is_answered_as_soon_as_there_is_something(poller: Poller, backend: Backend, runtime: Runtime) -> None:
    await poller.join("room:1")
    polling = asyncio.create_task(poller.poll())
    await polls(runtime)
    await backend.publish("to:room:1:update", {"n": 1})
    assert await polling == (200, [[None, None, "room:1", "update", {"n": 1}]])


async def test_what_comes_between_two_polls_is_kept_in_order(poller: Poller, backend: Backend) -> None:
    await poller.join("room:1")
    await backend.publish_all(*((f"to:room:1:e{number}", b"[1]") for number in range(500)))
    events: list[str] = []
    while len(events) < 500:
        events += [frame[3] for frame in (await poller.poll())[1]]
    assert events == [f"e{number}" for number in range(500)]


async def test_a_poll_without_news_is_answered_with_204(poller: Poller, quick_polls: None) -> None:
    assert await poller.poll() == (204, [])


async def test_frames_of_one_body_are_handled_in_order(poller: Poller) -> None:
    join, pushes = ["1", "1", "room:1", "phx_join", {}], [["1", str(ref), "room:1", "echo", {"n": ref}] for ref in range(2, 100)]
    assert await poller.say(join, *pushes) == 200
    _, replies = await poller.poll()
    assert [reply[1] for reply in replies] == [str(ref) for ref in range(1, 100)]


async def test_a_binary_push_is_a_line_of_base64(poller: Poller) -> None:
    await poller.join("room:1")
    assert await poller.say(b64encode(encoded("1", "2", "room:1", "echo", b"\x01\x02")).decode()) == 200
    assert await poller.poll() == (200, [["1", "2", "room:1", "phx_reply", {"status": "ok", "response": "\x01\x02"}]])


async def test_a_binary_answer_that_is_no_text_is_refused_with_a_reason(poller: Poller) -> None:
    await poller.join("room:1")
    assert await poller.say(b64encode(encoded("1", "2", "room:1", "echo", b"\xff")).decode()) == 200
    _, [reply] = await poller.poll()
    assert (reply[1], reply[4]["status"], reply[4]["response"]["reason"]) == ("2", "error", "binary")


async def test_only_a_line_feed_ends_a_line(poller: Poller) -> None:
    payload = {"text": "\u2028 \u0085 \v \f"}
    await poller.join("room:1")
    assert await poller.say(json.dumps(["1", "2", "room:1", "echo", payload], ensure_ascii=False)) == 200
    assert await poller.poll() == (200, [["1", "2", "room:1", "phx_reply", {"status": "ok", "response": payload}]])


async def test_version_one(own_topics: None) -> None:
    poller = await Poller(vsn="1.0.0").open()
    join = {"topic": "room:1", "event": "phx_join", "payload": {}, "ref": "1"}
    assert await poller.say(json.dumps(join)) == 200
    reply = {"topic": "room:1", "event": "phx_reply", "payload": {"status": "ok", "response": {}}, "ref": "1"}
    assert await poller.poll() == (200, [reply])


@pytest.mark.parametrize("path", ["/longpoll", "/socket/longpoll", "/websocket/longpoll"])
async def test_it_stands_beside_each_websocket(path: str) -> None:
    await Poller(path).open()


async def test_the_token_of_a_session_is_enough_for_its_topics() -> None:
    poller = await Poller(userToken=mint("bob", "ships")).open()
    assert (await poller.join("ships"))["id"].split(":")[1] == "ships"


async def test_the_token_in_a_header_is_enough_for_its_topics() -> None:
    poller = Poller()
    await poller.poll(X_Phoenix_AuthToken=mint("bob", "ships"))
    assert (await poller.join("ships"))["id"].split(":")[1] == "ships"


async def test_members_over_a_websocket_see_one_that_polls(phoenix: Connect) -> None:
    peer = await phoenix()
    await peer.join("ships", token=mint("alice", "ships"))
    poller = await Poller().open()
    await poller.join("ships", token=mint("bob", "ships"))
    while "bob" not in (await peer.receive_event("presence_diff"))[4]["joins"]:
        pass


# -- sessions and their ends ---------------------------------------------------


@pytest.mark.parametrize("token", ["", "nobody", f"{'0' * 32}.{'x' * 32}"])
async def test_unknown_sessions_are_gone_and_a_poll_begins_a_new_one(token: str) -> None:
    poller = Poller()
    poller.token = token
    assert await poller.say(["1", "1", "room:1", "phx_join", {}]) == 410
    assert await poller.poll() == (410, [])
    assert poller.token not in {"", token}


async def test_a_poll_takes_the_place_of_one_that_waits(poller: Poller, backend: Backend, runtime: Runtime) -> None:
    await poller.join("room:1")
    first = asyncio.create_task(poller.poll())
    await polls(runtime)
    second = asyncio.create_task(poller.poll())
    assert await first == (204, [])
    await backend.publish("to:room:1:update", {"n": 1})
    assert (await second)[1] == [[None, None, "room:1", "update", {"n": 1}]]


async def test_a_poll_that_is_given_up_loses_nothing(poller: Poller, backend: Backend, runtime: Runtime) -> None:
    await poller.join("room:1")
    polling = asyncio.create_task(poller.poll())
    await polls(runtime)
    polling.cancel()
    await asyncio.wait({polling})
    await backend.publish("to:room:1:update", {"n": 1})
    assert await poller.poll() == (200, [[None, None, "room:1", "update", {"n": 1}]])


async def test_a_client_that_polls_no_more_is_gone(
    phoenix: Connect, runtime: Runtime, quick_polls: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(longpoll, "AWAY_SECONDS", 0.1)
    poller = await Poller().open()
    await poller.join("ships", token=mint("bob", "ships"))
    peer = await phoenix()
    await peer.join("ships", token=mint("alice", "ships"))
    while "bob" not in (await peer.receive_event("presence_diff"))[4]["leaves"]:
        pass
    assert await poller.say(["1", "2", "ships", "ev", {}]) == 410


async def test_a_client_whose_poll_waits_is_there(poller: Poller, runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(longpoll, "AWAY_SECONDS", 0.0)
    (peer,) = runtime.connections.open.values()
    polling = asyncio.create_task(poller.poll())
    await polls(runtime)
    for _ in range(3):
        peer.tick(0.0, asyncio.get_running_loop().time() + 5)
    assert not peer.closing
    polling.cancel()
    await asyncio.wait({polling})


async def test_who_is_sent_away_finds_no_session(poller: Poller) -> None:
    await poller.join("room:1")
    assert await poller.say(["1", "2", "room:1", "kick", {}]) == 410
    assert (await poller.poll())[0] == 410


async def test_a_waiting_poll_is_answered_when_its_client_is_sent_away(poller: Poller, runtime: Runtime) -> None:
    polling = asyncio.create_task(poller.poll())
    await polls(runtime)
    await runtime.service(Polls).stop()
    assert (await polling)[0] == 410


async def test_there_are_no_more_sessions_than_connections(settings: Any) -> None:
    settings.GEOSTREAM_MAX_CONNECTIONS = 1
    await Poller().open()
    assert (await Poller().poll())[0] == 500  # at which clients try again; most statuses they do not know


async def test_who_has_a_bad_access_token_is_refused() -> None:
    assert (await Poller().poll(Authorization="Bearer forged"))[0] == 403


# -- what is refused -----------------------------------------------------------


async def test_too_many_lines_are_refused_and_none_is_handled(poller: Poller, quick_polls: None) -> None:
    frames = [["1", "1", "room:1", "phx_join", {}]] * (longpoll.MAX_LINES + 1)
    assert await poller.say(*frames) == 400
    assert await poller.poll() == (204, [])


async def test_lines_that_are_no_frames_are_refused(poller: Poller) -> None:
    for body in (b"\xff\xfe", b"!!!", b"AAA", b"42", b"\x00"):
        assert await poller.post(body) == 400
    await poller.join("room:1")


@pytest.mark.parametrize("body", [b"[", b"[]", b"null", b'{"a":1}', b"[" * 10_000, b64encode(b"\x07"), b64encode(b"\x00\xff")])
async def test_frames_that_cannot_be_read_end_the_session(body: bytes, poller: Poller) -> None:
    assert await poller.post(body) == 410
    assert (await poller.poll())[0] == 410


async def test_a_body_that_is_too_long_is_refused(poller: Poller, settings: Any) -> None:
    settings.GEOSTREAM_MAX_MESSAGE_BYTES = 1000
    assert await poller.post(b"[" + b" " * 1000) == 400
    await poller.join("room:1")


@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS"])
async def test_pages_of_other_sites_are_refused(method: str, poller: Poller) -> None:
    answer = await poller.request(method, b'["1","1","room:1","phx_join",{}]', Origin=EVIL)
    assert (answer.status, json.loads(answer.content)) == (200, {"status": 403})


async def test_pages_of_allowed_sites_are_served(settings: Any) -> None:
    settings.GEOSTREAM_ALLOWED_ORIGINS = EVIL
    assert (await Poller().poll(Origin=EVIL))[0] == 410


async def test_an_unknown_version_is_refused() -> None:
    assert (await Poller(vsn="3.0.0").poll())[0] == 403


async def test_other_methods_are_refused(poller: Poller) -> None:
    answer = await poller.request("PUT")
    assert (answer.status, answer.headers["allow"]) == (405, "GET, POST, OPTIONS")
