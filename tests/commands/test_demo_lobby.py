"""The room of the demo in which somebody is always there."""

from __future__ import annotations

from typing import Any

import pytest

from streaming.engine.runtime import Runtime
from streaming.management import demo_lobby
from streaming.topics.tokens import mint
from tests.dialects.phoenix.peer import PhoenixPeer


@pytest.mark.usefixtures("redis")
async def test_what_one_says_everybody_hears_and_the_demo_answers(runtime: Runtime, settings: Any) -> None:
    settings.GEOSTREAM_TOPICS = demo_lobby.__name__
    alice, bob = [await PhoenixPeer().connect() for _ in range(2)]
    for peer, name in ((alice, "alice"), (bob, "bob")):
        await peer.join(demo_lobby.NAME, "1", token=mint(name, demo_lobby.NAME))
    await alice.send("1", "2", demo_lobby.NAME, "message", {"message": "Hello"})
    for peer in (alice, bob):
        heard: list[Any] = []
        while len(heard) < 2:
            answer = await peer.receive()
            heard += [answer[4]] if answer[3] == "message" else []
        assert heard[0] == {"by": "alice", "message": "Hello"}
        assert heard[1]["by"] == "GeoStream" and "alice" in heard[1]["message"]
        await peer.close()
