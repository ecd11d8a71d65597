"""The sessions recorded with a Phoenix server and with Tangram's channel service, played to the engine frame by frame."""

from __future__ import annotations

import json
from typing import Any

import pytest

from .backend import Backend
from .conftest import Connect
from .differences import PHOENIX, TANGRAM, UNTIL, Event, beginning, ours
from .replay import Replay
from .vectors import REQUIREMENTS, SESSIONS, session

ELSEWHERE = {"handshakes", "longpoll", "too_many"}
"""Recorded in words, or in part: they have tests of their own."""
OF_PHOENIX = [found["name"] for found in SESSIONS["phoenix_1_8_9"] if found["name"] not in ELSEWHERE]
OF_TANGRAM = [found["name"] for found in SESSIONS["tangram_0_6_0"]]


async def play(connect: Connect, events: list[Event], backend: Backend | None = None) -> None:
    replay = Replay(connect, backend)
    for event in events:
        await replay.play(event)
    await replay.end()


@pytest.mark.parametrize("name", OF_PHOENIX)
async def test_a_session_with_phoenix(name: str, own_topics: None, phoenix: Connect) -> None:
    await play(phoenix, ours(session(name), PHOENIX, set()))


async def test_a_session_with_phoenix_that_joins_too_many_topics(own_topics: None, phoenix: Connect, settings: Any) -> None:
    settings.GEOSTREAM_MAX_CHANNELS = 100
    opened, first, hundredth, refused, closed = session("too_many")
    between = [joined(number, "ok", {}) for number in range(2, 100)]
    assert joined(1, "ok", {}) == {**first, "recv": compact(first["recv"])}
    replies = [first, *between, hundredth, refused]
    asked = [{"c": "A", "send": json.dumps([str(number), str(number), f"room:m{number}", "phx_join", {}])} for number in range(1, 102)]
    await play(phoenix, [opened, *asked, *replies, closed])


def joined(number: int, status: str, response: dict[str, Any]) -> Event:
    reply = [str(number), str(number), f"room:m{number}", "phx_reply", {"response": response, "status": status}]
    return {"c": "A", "recv": compact(json.dumps(reply))}


def compact(text: str) -> str:
    return json.dumps(json.loads(text), separators=(",", ":"))


@pytest.mark.parametrize("name", OF_TANGRAM)
async def test_a_session_with_tangram(name: str, phoenix: Connect, backend: Backend) -> None:
    events = session(name, "tangram_0_6_0")
    if name in UNTIL:
        events = beginning(events, UNTIL[name][0])
    await play(phoenix, ours(events, TANGRAM, set()), backend)


@pytest.mark.parametrize(("server", "table"), [("phoenix_1_8_9", PHOENIX), ("tangram_0_6_0", TANGRAM)])
def test_every_difference_is_one(server: str, table: Any) -> None:
    used: set[str] = set()
    for found in SESSIONS[server]:
        ours(found["events"], table, used)
    assert used == {difference.why for difference in table}


def test_sessions_are_cut_where_a_requirement_says_what_happens_instead() -> None:
    assert {found["name"] for found in SESSIONS["tangram_0_6_0"] if found["policy"] == "deviate"} == UNTIL.keys()
    assert {requirement for _, requirement in UNTIL.values()} <= {requirement["id"] for requirement in REQUIREMENTS}
