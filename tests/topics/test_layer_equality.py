"""A client of a layer's topic is a full peer of the geo dialect: with the same filter, both are told the same, in the same order."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import AsyncExitStack
from random import Random
from typing import Any

import pytest

from streaming import adelete, apublish
from tests.dialects.phoenix.peer import PhoenixPeer
from tests.geo_peer import GeoPeer, point

from .layer_peer import LayerPeer, caught_up, save_layer

SQUARE = {"type": "Polygon", "coordinates": [[[0, 0], [6, 0], [0, 6], [0, 0]]]}
VIEWS: list[dict[str, Any]] = [
    {},
    {"bbox": [0, 0, 5, 5]},
    {"bbox": [8, -90, -170, 90]},
    {"geometry": SQUARE},
    {"center": [1, 1], "radius_m": 500_000},
    {"filter": "S_DWITHIN(geometry, POINT(1 1), 500000)"},
    {"filter": "S_DWITHIN(LINESTRING(-3 -3, 3 4), geometry, 300000)"},
    {"filters": [["kind", "x"]]},
    {"filter": "speed > 4 AND kind = 'y'"},
    {"filter": {"op": "<", "args": [{"property": "speed"}, 5]}, "filter_lang": "cql2-json"},
    {"datetime": "2020-06-01T00:00:00Z/.."},
    {"crs": 3857, "properties": ["speed"], "bbox": [0, 0, 9, 9]},
]
NOTHING = dict.fromkeys(("bbox", "geometry", "center", "radius_m", "filters", "filter", "filter_lang", "datetime", "crs", "properties"))

Told = tuple[str, Any, Any, str | None, str | None]
"""Kind, id, feature, reason, cursor."""


def told_by_geo(message: dict[str, Any]) -> Told:
    feature = json.loads(message["geojson"]) if message["change_type"] != "deleted" else None
    return message["change_type"], message["id"], feature, message["reason"], message["cursor"]


def told_by_topic(event: tuple[str, Any]) -> Told:
    kind, payload = event
    feature = payload.get("feature")
    return kind, payload["id"] if feature is None else feature["id"], feature, payload.get("reason"), payload.get("cursor")


async def rest_of(peer: GeoPeer) -> list[Told]:
    await peer.send({"type": "ping", "id": 1})
    told = []
    while (message := await peer.next())["type"] != "pong":
        told.append(told_by_geo(message))
    return told


def some_features(random: Random) -> list[dict[str, Any]]:
    times = ["2020-01-01T00:00:00Z", "2021-01-01T00:00:00Z", None]
    return [
        point(
            number,
            random.uniform(-10, 10),
            random.uniform(-10, 10),
            kind=random.choice("xy"),
            speed=random.randint(0, 9),
            at=random.choice(times),
        )
        for number in random.sample(range(12), random.randint(1, 4))
    ]


async def change_something(random: Random) -> None:
    if random.random() < 0.7:
        await apublish("l", some_features(random))
    else:
        await adelete("l", random.randrange(12))


class Both:
    """A client of each kind, with the same subscription."""

    def __init__(self, geo: GeoPeer, peer: PhoenixPeer) -> None:
        self.geo = geo
        self.layer = LayerPeer(peer)

    async def subscribe(self, **view: Any) -> None:
        ack = await self.geo.subscribe(**view)
        response = await self.layer.join(**view)
        assert (response["count"], response["recovered"]) == (ack["snapshot_count"], ack.get("recovered"))
        in_reply: list[Told] = [("added", feature["id"], feature, None, None) for feature in response["features"]]
        in_events = [told_by_topic(event) for event in await self.layer.rest()]
        if in_reply:
            in_reply[-1] = (*in_reply[-1][:4], response["cursor"])
        assert in_reply + in_events == await rest_of(self.geo)
        assert self.layer.cursor == ack["cursor"]

    async def move(self, view: dict[str, Any]) -> None:
        ack = await self.geo.ask(type="update_subscription", subscription_id="s", **view)
        assert (await self.layer.update(**view))["count"] == ack["snapshot_count"]
        await self.compare()

    async def compare(self) -> None:
        """Both are told the same of everything until now."""
        await caught_up("l")
        assert [told_by_topic(event) for event in await self.layer.rest()] == await rest_of(self.geo)


@pytest.mark.parametrize("seed", range(len(VIEWS)))
async def test_both_are_told_the_same(geo: Callable[..., GeoPeer], seed: int) -> None:
    random = Random(seed)
    await save_layer("l", public=True, time_property="at")
    await apublish("l", some_features(random))
    async with AsyncExitStack() as stack:

        async def both() -> Both:
            peer = await PhoenixPeer().connect()
            stack.push_async_callback(peer.close)
            return Both(geo(), peer)

        watching = await both()
        await watching.subscribe(**VIEWS[seed])
        cursor = watching.layer.cursor
        for _ in range(12):
            await change_something(random)
            await watching.compare()
        await (await both()).subscribe(**VIEWS[seed], cursor=cursor)
        moved = random.choice(VIEWS)
        await watching.move({**NOTHING, **moved})
        for _ in range(6):
            await change_something(random)
            await watching.compare()
        fresh = await both()
        await fresh.subscribe(**moved)
        assert watching.layer.features == fresh.layer.features
