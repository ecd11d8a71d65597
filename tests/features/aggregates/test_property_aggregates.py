"""What a client of an aggregate received, applied to what it held, is what a recount finds: however it came there.

The world of `test_property_views`, whose clients look at cells.
"""

from __future__ import annotations

import asyncio
import json
import math
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, ClassVar

import h3
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as trying
from hypothesis import strategies as st

from streaming.core.hub import Hub
from streaming.features.aggregates import aggregate as aggregate_module
from streaming.features.aggregates.aggregate import Aggregate
from streaming.features.aggregates.service import Aggregates
from tests.core import test_property_views as worlds
from tests.core.test_property_views import Client, World, clock, loop, steps_of_worlds
from tests.profiles import examples

__all__ = ["clock", "loop"]

HEXAGONS = {"by": "h3", "resolution": 3, "properties": ["height", "kind"]}
PROPERTIES: list[dict[str, Any]] = [
    {"kind": "x", "height": 0.1, "at": "2020-01-01T00:00:00Z"},
    {"kind": "y", "height": 1e16, "at": "2021-01-01T00:00:00Z"},
    {"kind": "x", "height": -3, "at": "2022-01-01T00:00:00Z"},
    {"kind": True, "height": "tall"},
]
VIEWS: list[dict[str, Any]] = [
    {"aggregate": HEXAGONS},
    {"aggregate": HEXAGONS, "filter": "kind = 'x'"},
    {"aggregate": HEXAGONS, "bbox": [0, 0, 1, 1]},
    {"aggregate": HEXAGONS, "bbox": [179, -1, -179, 1]},
    {"aggregate": HEXAGONS, "max_rate": 2},
    {"aggregate": {"by": "h3", "zoom": 1}},
    {"aggregate": {"by": "grid", "resolution": 2, "properties": ["height"]}, "filters": [["kind", "x"]]},
    {"aggregate": {"by": "grid", "zoom": 9}, "datetime": "2020-06-01T00:00:00Z/.."},
    {},
]


@dataclass
class CellClient(Client):
    """A client of a process that counts."""

    runtimes: ClassVar[dict[Hub, Any]] = {}

    def runtime_of(self, hub: Hub) -> Any:
        if hub not in self.runtimes:
            runtime: Any = SimpleNamespace(hub=hub)
            aggregates = Aggregates(runtime)
            runtime.service = lambda kind: aggregates
            self.runtimes[hub] = runtime
        return self.runtimes[hub]


class CellWorld(World):
    """Two processes that count."""

    views = VIEWS

    async def run(self, steps: list[tuple[Any, ...]]) -> None:
        CellClient.runtimes.clear()
        await super().run(steps)
        for client in self.clients:
            self._check_recount(client)
        for runtime in CellClient.runtimes.values():
            await runtime.service(Aggregates).stop()

    async def settle(self) -> None:
        for hub in self.hubs:
            await self._look(hub)
        while any(_busy(hub) for hub in self.hubs):
            await asyncio.sleep(0)
        await super().settle()

    def _check_recount(self, client: Client) -> None:
        view = client.view
        if view.get("aggregate") != HEXAGONS or len(view) > 1 + ("max_rate" in view) or client.layer is None:
            return
        members = defaultdict(list)
        for item in self.feeds[client.layer].read_sync().items.values():
            feature = item.feature
            if item.geometry is not None:
                place = item.geometry.point_on_surface()
                members[h3.latlng_to_cell(place.y, place.x, 3)].append(feature["properties"]["height"])
        held = {key: feature["properties"] for (_, key), feature in client.held.items()}
        assert held == {json.dumps(cell): _recounted(heights) for cell, heights in members.items()}


def _busy(hub: Hub) -> bool:
    aggregates = [aggregate for follower in hub.followers.values() for aggregate in follower.observers if isinstance(aggregate, Aggregate)]
    return bool(len(hub.turns)) or any(not each.at_rest or each.behind for each in aggregates)


def _recounted(heights: list[Any]) -> dict[str, Any]:
    numbers = [height for height in heights if not isinstance(height, str)]
    empty = {"count": 0, "sum": 0, "min": None, "max": None, "mean": None}
    height = {
        "count": len(numbers),
        "sum": math.fsum(numbers),
        "min": min(numbers, default=None),
        "max": max(numbers, default=None),
        "mean": pytest.approx(math.fsum(numbers) / len(numbers)) if numbers else None,
    }
    return {"count": len(heights), "height": height, "kind": empty}


def _clients() -> st.SearchStrategy[list[CellClient]]:
    one = st.builds(CellClient, st.just("a"), st.booleans(), st.sampled_from([VIEWS[0]] * 4 + VIEWS))
    return st.lists(one, min_size=2, max_size=2)


@pytest.fixture
def counting(monkeypatch: pytest.MonkeyPatch, settings: Any, clock: SimpleNamespace) -> Iterator[SimpleNamespace]:
    settings.GEOSTREAM_AGGREGATE_SECONDS = 0.0
    monkeypatch.setattr(aggregate_module, "UNWATCHED_SECONDS", 0.0)
    monkeypatch.setattr(worlds, "PROPERTIES", PROPERTIES)
    monkeypatch.setattr(worlds, "EVERYTHING", worlds.EVERYTHING | {"aggregate": None, "filter": None})
    yield clock


@trying(max_examples=examples(20, long=400), suppress_health_check=list(HealthCheck))
@given(clients=_clients(), steps=steps_of_worlds())
def test_what_clients_hold_is_what_a_recount_finds(
    loop: asyncio.Runner, counting: SimpleNamespace, clients: list[CellClient], steps: list[tuple[Any, ...]]
) -> None:
    loop.run(CellWorld(clients, counting).run(steps))
