"""The index of subscribers: it leaves out none whose filters let a value pass."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from streaming.dialects.redis_commands.delivery.subscriber_index import MANY, SubscriberIndex
from streaming.dialects.redis_commands.geojson.crs import WGS84, build
from streaming.dialects.redis_commands.geojson.values import Value

from ..clients import Client

CRSS = (WGS84, build(3857), build(32631), build(4258))
SIDES = (0.0, 1.0, -1.0, 3.0, 89.0, 179.0, 180.0, -180.0, 181.0, 400.0, 111_319.0, 166_021.0, 500_000.0, 20_037_508.0, 3e7, 1e300)

side = st.sampled_from(SIDES) | st.floats(-200, 200)
boxes = st.tuples(side, side, side, side)
position = st.tuples(st.floats(-181, 181), st.floats(-90, 90)) | st.tuples(st.sampled_from(SIDES[:9]), st.sampled_from(SIDES[:5]))
geometry = st.none() | st.builds(lambda at: {"type": "Point", "coordinates": at}, position)
line = st.builds(lambda ends: {"type": "LineString", "coordinates": ends}, st.lists(position, min_size=2, max_size=4))
features = st.lists(st.builds(lambda at: {"type": "Feature", "geometry": at, "properties": None}, geometry | line), max_size=4)


def collection(features: list[Any]) -> Value:
    return Value(json.dumps({"type": "FeatureCollection", "features": features}).encode())


@given(st.lists(st.tuples(boxes, st.sampled_from(CRSS)), max_size=12), features, st.booleans())
def test_every_subscriber_that_wants_a_value_is_a_candidate(wanted: list[Any], features: list[Any], many: bool) -> None:
    index = SubscriberIndex()
    clients = [Client() for _ in range(len(wanted) + 1)]
    for client, (box, crs) in zip(clients, wanted, strict=False):
        client.filters.set_box(box, crs)
    for client in clients:
        index.add(client.subscriber, None)
    value = collection(features * (MANY + 1) if many else features)
    wanting = {client.subscriber for client in clients if client.filters.passes(value)}
    assert wanting <= set(index.candidates(value))


def test_nothing_is_left_of_a_subscriber_that_left() -> None:
    index, client = SubscriberIndex(), Client()
    index.add(client.subscriber, None)
    for crs in CRSS:
        client.filters.set_box((0, 0, 1, 1), crs)
        index.update(client.subscriber)
        assert list(index.candidates(collection([]))) == [client.subscriber]
    index.remove(client.subscriber)
    assert not len(index) and not index._boxes and not index._codes and not index._everywhere
