"""One connection among others: whoever asks for much does not keep the others waiting."""

from __future__ import annotations

import asyncio
import json
import math
import time
from collections.abc import Callable

from streaming import apublish
from streaming.engine.runtime import Runtime
from streaming.features.layer_creation import aensure_layer
from tests.geo_peer import GeoPeer, point

MESSAGES = 20


def costly(number: int) -> str:
    """A message that takes some hundredths of a second."""
    ring = [[math.cos(i / 1000) * 10 + number / 100, math.sin(i / 1000) * 10] for i in range(6284)]
    geometry = {"type": "Polygon", "coordinates": [[*ring, ring[0]]]}
    return json.dumps({"type": "update_subscription", "subscription_id": "s", "geometry": geometry})


async def longest_wait(until: asyncio.Event) -> float:
    """The longest time that somebody who is always ready was not given a turn."""
    longest, last = 0.0, time.monotonic()
    while not until.is_set():
        await asyncio.sleep(0.001)
        now = time.monotonic()
        longest, last = max(longest, now - last), now
    return longest


async def test_a_filter_that_takes_long_is_tried_without_keeping_others_waiting(geo: Callable[..., GeoPeer], runtime: Runtime) -> None:
    await apublish("l", [point(number, 1, 1, a=-1) for number in range(1000)])
    peer = geo()
    await peer.subscribe(filters=[["a", "none"]])
    expression = " or ".join(f"a = {number}" for number in range(200))
    done = asyncio.Event()
    waiting = asyncio.create_task(longest_wait(done))
    began = time.monotonic()
    ack = await peer.subscribe(id="long", filter=expression + " or a = -1", snapshot=True, batch=True)
    assert (ack["success"], ack["snapshot_count"]) == (True, 1000)
    received = 0
    while received < 1000:
        received += len(json.loads((await peer.next())["geojson"])["features"])
    ack = await peer.ask(type="update_subscription", subscription_id="long", filter=expression)
    assert (ack["success"], ack["snapshot_count"]) == (True, 1000)
    took = time.monotonic() - began
    done.set()
    assert await waiting < took / 4


async def test_a_burst_of_costly_messages_gives_others_their_turn(geo: Callable[..., GeoPeer], runtime: Runtime) -> None:
    await aensure_layer("l")
    peer = geo()
    await peer.subscribe()
    done = asyncio.Event()
    waiting = asyncio.create_task(longest_wait(done))
    began = time.monotonic()
    for number in range(MESSAGES):
        await peer.send(costly(number))
    for _ in range(MESSAGES):
        assert (await peer.receive())["type"] == "ack"
    took = time.monotonic() - began
    done.set()
    assert await waiting < took / 4
