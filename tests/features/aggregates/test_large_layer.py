"""A hundred thousand features: what is counted at first, and what is left after many changes, is what a recount finds."""

from __future__ import annotations

import asyncio
import math
import random
from collections import defaultdict
from copy import deepcopy
from itertools import count
from typing import Any

import h3
import pytest

from streaming.core.feed import Cursor, Feed, FeedState, LogEntry
from streaming.core.filters import FilterSpec, compile_filter
from streaming.core.replica import Replica
from streaming.core.turns import Turns
from streaming.features.aggregates.aggregate import Aggregate
from streaming.features.aggregates.spec import AggregateSpec

FEATURES = 100_000
CHANGES = 5_000
RESOLUTION = 3
NOW = b"1700000000000"


def stored(draw: random.Random, number: int) -> bytes:
    x, y, speed = draw.gauss(8, 40), draw.gauss(40, 15), draw.choice([draw.random() * 100, 0, "?"])
    text = (
        f'{{"geometry":{{"coordinates":[{(x + 180) % 360 - 180:.4f},{max(-89, min(y, 89)):.4f}],"type":"Point"}},'
        f'"id":{number},"properties":{{"speed":{speed if speed != "?" else chr(34) * 2}}},"type":"Feature"}}'
    )
    return NOW + text.encode()


def recount(source: Replica) -> dict[str, Any]:
    members = defaultdict(list)
    for item in source.items.values():
        assert item.box is not None
        members[f'"{h3.latlng_to_cell(item.box[1], item.box[0], RESOLUTION)}"'].append(item.properties["speed"])
    return {cell: {"count": len(speeds), "speed": summary(speeds)} for cell, speeds in members.items()}


def summary(speeds: list[Any]) -> dict[str, Any]:
    numbers = [speed for speed in speeds if speed != ""]
    return {"count": len(numbers), "sum": math.fsum(numbers), "min": min(numbers, default=None), "max": max(numbers, default=None)}


def counted(aggregate: Aggregate) -> dict[str, Any]:
    found = {key: deepcopy(cell.properties) for key, cell in aggregate.items.items()}
    for properties in found.values():
        del properties["speed"]["mean"]
    return found


@pytest.mark.long_form(only=True)
async def test_a_recount_agrees() -> None:
    draw = random.Random(1)
    state = FeedState(Cursor("e", 0), {str(number).encode(): stored(draw, number) for number in range(FEATURES)})
    source = Replica(Feed("f"), state)
    turns = Turns()
    everything = compile_filter(FilterSpec())
    spec = AggregateSpec("h3", RESOLUTION, ("speed",))
    aggregate = Aggregate(source, spec, everything, turns, pause=lambda: 0.0, most=lambda _: FEATURES)
    await aggregate.build()
    assert counted(aggregate) == recount(source)
    numbers = count(1)
    for _ in range(CHANGES // 100):
        entries = []
        for _ in range(100):
            key = draw.randrange(FEATURES)
            new = stored(draw, key) if draw.random() < 0.9 else None
            entries.append(LogEntry(next(numbers), str(key), None, new, None))
        source.apply(entries)
        await asyncio.sleep(0)
    while aggregate.behind or not aggregate.at_rest:
        await asyncio.sleep(0)
    assert counted(aggregate) == recount(source)
    assert aggregate.cursor.seq == CHANGES
    aggregate.close()
