"""Plays a recorded session to the engine, and compares what each connection is told and what Redis hears.

What a recording leaves open is not compared: the order of keys, when members were online, what a `phx_ref` looks like, and whether a
`presence_diff` comes before or after the state or together with the next one.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

from streaming.topics.tokens import mint

from .backend import TIMEOUT, Backend
from .differences import frames
from .peer import Binary, PhoenixPeer, decoded, event_of

PRESENCE = {"presence_state", "presence_diff"}
ANY = "<any>"
NOT_RECORDED = {"datetime", "node.stats"}
"""The clock of the topic `system`, and what processes tell the topic `admin`."""

MORE = {"count", "user"}
"""What is said about joins and leaves besides."""


class Said(NamedTuple):
    """Something about presence that a client was told: `presence_state`, `joins` or `leaves`, of whom, and which meta."""

    what: str
    topic: str
    key: str
    ref: str
    more: str


class Heard:
    """One connection: its peer, and what it knows of presence."""

    def __init__(self, peer: PhoenixPeer) -> None:
        self.peer = peer
        self.told: Counter[Said] = Counter()
        self.admin: list[Any] = []
        """What happened, as the topic `admin` was told."""
        self.joined: dict[Any, Any] = {}
        """Topic to join_ref."""


class Replay:
    """`play` the events one after the other, then `end`."""

    def __init__(self, connect: Callable[..., Awaitable[PhoenixPeer]], backend: Backend | None = None) -> None:
        self._connect = connect
        self._backend = backend
        self._heard: dict[str, Heard] = {}
        self._names: dict[str, str] = {}
        self._refs: dict[str, str] = {}
        self._published: list[tuple[str, Any]] = []
        self._from_backend = False

    async def play(self, event: dict[str, Any]) -> None:
        """Do or await what was recorded."""
        if "backend_publishes" in event:
            assert self._backend is not None
            await self._backend.publish(event["backend_publishes"], content(event, "payload"))
            self._from_backend = True
        elif "hub_publishes" in event:
            self._published.append((event["hub_publishes"], _published(self._named(content(event, "payload")))))
        elif "open" in event:
            await self._open(event["c"], event["open"])
        elif "closed" in event:
            await self._closed(event["c"], event["closed"])
        elif "send" in event or "send_hex" in event:
            await self._send(self._heard[event["c"]], content(event, "send"))
        else:
            await self._receive(self._heard[event["c"]], content(event, "recv"))

    async def end(self) -> None:
        """Nobody was told more, and Redis heard what it had to."""
        for name in list(self._heard):
            await self._closed(name, 1000)
        if self._backend is not None:
            await self._compare_published(self._backend)

    # -- what is done ------------------------------------------------------

    async def _open(self, name: str, address: str) -> None:
        if name in self._heard:
            await self._closed(name, 1000)
        peer = await self._connect(self._named(address).partition("?")[2])
        self._heard[name] = Heard(peer)
        self._names[f"<conn:{name}>"] = peer.name

    async def _closed(self, name: str, code: int) -> None:
        heard = self._heard.pop(name, None)
        if heard is None:
            return
        if code in {1000, 1006}:  # the client went, or Tangram dropped it, which no client is here
            for frame in await heard.peer.rest():
                assert self._is_told_of_others(heard, frame), f"{name} was told more: {frame}"
            assert all(map(_said_here_only, heard.admin)), f"{name} was told more: {heard.admin}"
            await heard.peer.close()
        else:
            assert (await heard.peer.closed())[0] == code

    async def _send(self, heard: Heard, data: str | bytes) -> None:
        self._from_backend = False
        if isinstance(data, bytes):
            await heard.peer.send_bytes(data)
            return
        await heard.peer.send_text(self._named(data))
        for (join_ref, ref, topic, name, _), _ in frames({"send": data}):
            if name == "phx_join":
                heard.joined[topic] = ref if join_ref is None else join_ref

    # -- what is compared --------------------------------------------------

    async def _receive(self, heard: Heard, data: str | bytes) -> None:
        expected = decoded(self._named(data) if isinstance(data, str) else data)
        if not isinstance(expected, Binary) and event_of(expected) in PRESENCE:
            await self._await_presence(heard, expected)
            return
        if not isinstance(expected, Binary | dict) and expected[2] == "admin" and expected[3].startswith("channel."):
            await self._await_news(heard, expected)
            return
        while self._is_told_of_others(heard, frame := await heard.peer.receive()):
            pass
        if isinstance(expected, Binary):
            assert _like_binary(frame) == _like_binary(expected)
        elif isinstance(expected, dict):
            assert within(expected, frame), (frame, expected)
        else:
            self._compare(heard, frame, expected)

    def _compare(self, heard: Heard, frame: Any, expected: list[Any]) -> None:
        assert isinstance(frame, list) and len(frame) == 5, (frame, expected)
        join_ref, ref, topic, event, payload = expected
        assert frame[2:4] == [topic, event], (frame, expected)
        if event not in {"phx_reply", "phx_close", "phx_error"} or self._from_backend:
            assert frame[0] in (None, heard.joined.get(topic, join_ref)) and frame[1] is None, (frame, expected)
        else:
            assert join_ref == ANY or frame[:2] == [join_ref, ref], (frame, expected)
        if event == "phx_error" or topic == "admin" or (isinstance(payload, dict) and payload.get("status") == "error"):
            assert within(payload, frame[4]), (frame, expected)
        else:
            assert frame[4] == payload, (frame, expected)

    async def _await_presence(self, heard: Heard, expected: list[Any]) -> None:
        """What was told may have come before, and may come in several pieces or in one with what follows."""
        for said in facts(expected):
            while (found := self._find(heard, said)) is None:
                frame = await heard.peer.receive()
                assert self._is_told_of_others(heard, frame), f"{frame} instead of {expected}"
            heard.told[found] -= 1
            self._refs[said.ref] = found.ref

    async def _await_news(self, heard: Heard, expected: list[Any]) -> None:
        """What happened at the same time may be told in another order."""
        while not (found := [news for news in heard.admin if news[3] == expected[3] and within(expected[4], news[4])]):
            frame = await heard.peer.receive()
            assert self._is_told_of_others(heard, frame), f"{frame} instead of {expected}"
        heard.admin.remove(found[0])

    def _find(self, heard: Heard, said: Said) -> Said | None:
        known = self._refs.get(said.ref)
        taken = set(self._refs.values())
        for found in (found for found, count in heard.told.items() if count > 0 and found._replace(ref="") == said._replace(ref="")):
            if found.ref == known or (known is None and found.ref not in taken):
                return found
        return None

    def _is_told_of_others(self, heard: Heard, frame: Any) -> bool:
        event = event_of(frame)
        if event in NOT_RECORDED:
            return True
        if isinstance(frame, dict):
            return False
        if frame[2] == "admin" and event.startswith("channel."):
            assert frame[0] in (None, heard.joined["admin"]) and frame[1] is None, frame
            heard.admin.append(frame)
            return True
        if event not in PRESENCE or isinstance(frame, Binary):
            return False
        own = heard.joined.get(frame[2])
        assert frame[1] is None and frame[0] in (([own]) if event == "presence_state" else (None, own)), frame
        heard.told.update(facts(frame))
        return True

    async def _compare_published(self, backend: Backend) -> None:
        wanted = Counter(map(repr, self._published))
        deadline = asyncio.get_running_loop().time() + TIMEOUT
        while missing := wanted - Counter(_heard(backend)):
            assert asyncio.get_running_loop().time() < deadline, f"not published: {missing}; but: {backend.heard}"
            await asyncio.sleep(0.01)
        more = Counter(_heard(backend, "from:")) - wanted
        assert not more, f"published, though it was not recorded: {more}"

    def _named(self, text: Any) -> Any:
        """With the names that connections have here, and with tokens of this site."""
        if not isinstance(text, str):
            return text
        for name, own in self._names.items():
            text = text.replace(name, own)
        return re.sub(r"<JWT id=(\S+) channel=([^>]+)>", lambda found: mint(found[1], found[2]), text)


def content(event: dict[str, Any], key: str) -> str | bytes:
    """Text, or bytes that are written as `<key>_hex`."""
    return str(event[key]) if key in event else bytes.fromhex(event[f"{key}_hex"])


def within(recorded: Any, told: Any) -> bool:
    """Whether everything recorded was told, and perhaps more. The order of lists is free."""
    if isinstance(recorded, dict) and isinstance(told, dict):
        return all(key in told and within(value, told[key]) for key, value in recorded.items())
    if isinstance(recorded, list) and isinstance(told, list):
        return sorted(recorded) == sorted(told)
    return bool(recorded == told)


def facts(frame: list[Any]) -> list[Said]:
    """What a `presence_state` or `presence_diff` says."""
    _, _, topic, event, payload = frame
    parts = {event: payload} if event == "presence_state" else payload
    return [
        Said(what, topic, key, meta["phx_ref"], _more(meta, what))
        for what, part in parts.items()
        for key in part
        for meta in part[key]["metas"]
    ]


def _more(meta: dict[str, Any], what: str) -> str:
    """What else a meta says. That one that joins replaces another counts, not which."""
    more = {key: value for key, value in meta.items() if key not in {"phx_ref", "phx_ref_prev", "online_at"}}
    return repr((sorted(more.items()), what == "joins" and "phx_ref_prev" in meta))


def _said_here_only(news: Any) -> bool:
    """An operator hears of itself, and that somebody left also when their connection was cut."""
    return news[3] == "channel.leave" or (news[3] == "channel.join" and news[4]["channel"] == "admin")


def _like_binary(frame: Any) -> Any:
    """A push to one member and a broadcast mean the same to a client."""
    assert isinstance(frame, Binary), frame
    return frame._replace(kind=2, join_ref=None) if frame.kind == 0 else frame


def _published(payload: Any) -> Any:
    try:
        found = json.loads(payload)
    except ValueError:
        return payload.encode() if isinstance(payload, str) else payload
    if isinstance(found, dict) and "channel" in found:
        found = {key: sorted(value) if isinstance(value, list) else value for key, value in found.items() if key not in MORE}
    return sorted(found.items()) if isinstance(found, dict) else found


def _heard(backend: Backend, beginning: str = "") -> list[str]:
    return [repr((channel, _published(payload))) for channel, payload in backend.heard if channel.startswith(beginning)]
