"""A layer's source that follows its layer: each next one renders what a new one would, and says where the difference can be seen."""

from __future__ import annotations

import json
import random
import threading
from itertools import product
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streaming.core.items import Item
from streaming.tiles.changed_boxes import ChangedBoxes
from streaming.tiles.grid import Tile
from streaming.tiles.sources.layer import LayerSource
from tests.profiles import examples

TILES = [Tile(z, x, y) for z in range(4) for x, y in product(range(1 << z), repeat=2)]


def item(id: int, geometry: Any, **properties: Any) -> Item:
    feature = {"type": "Feature", "id": id, "geometry": geometry, "properties": properties}
    return Item(json.dumps(id), json.dumps(feature).encode(), 0)


def point(id: int, lon: float, lat: float, **properties: Any) -> Item:
    return item(id, {"type": "Point", "coordinates": [lon, lat]}, **properties)


def rendered(source: LayerSource) -> dict[Tile, bytes | None]:
    return {tile: source.render(*tile) for tile in TILES}


positions = st.tuples(st.floats(-180, 180), st.floats(-90, 90)).map(list)
geometries = st.one_of(
    st.none(),
    positions.map(lambda position: {"type": "Point", "coordinates": position}),
    st.lists(positions, min_size=1, max_size=4).map(lambda found: {"type": "MultiPoint", "coordinates": found}),
    st.lists(positions, min_size=2, max_size=5).map(lambda found: {"type": "LineString", "coordinates": found}),
    st.lists(positions, min_size=3, max_size=6).map(lambda found: {"type": "Polygon", "coordinates": [[*found, found[0]]]}),
)
steps = st.dictionaries(st.integers(0, 12), st.one_of(st.none(), st.tuples(geometries, st.integers(0, 3))), max_size=6)


@pytest.mark.long_form(only=True)
@settings(max_examples=examples(20, long=150))
@given(st.lists(steps, min_size=1, max_size=5))
def test_it_renders_what_a_new_one_would_and_only_touched_tiles_differ(history: list[dict[int, Any]]) -> None:
    source, state = LayerSource("things", []), dict[str, Item]()
    before = rendered(source)
    for step in history:
        changes = {json.dumps(id): to and item(id, to[0], level=to[1]) for id, to in step.items()}
        source, boxes = source.updated(changes)
        state = {key: value for key, value in {**state, **changes}.items() if value}
        after = rendered(source)
        assert after == rendered(LayerSource("things", state.values()))
        assert {tile for tile in TILES if before[tile] != after[tile]} <= ChangedBoxes(boxes).intersection(TILES)
        before = after


def test_many_updates_of_many_features_leave_nothing_behind() -> None:
    chance = random.Random(1)
    state = {str(id): point(id, chance.uniform(-180, 180), chance.uniform(-80, 80)) for id in range(2000)}
    source = LayerSource("things", state.values())
    for round in range(100):
        keys = chance.sample(range(2500), 40)
        changes = {str(id): None if id % 7 == round % 7 else point(id, chance.uniform(-180, 180), round / 2, round=round) for id in keys}
        source, _ = source.updated(changes)
        state = {key: value for key, value in {**state, **changes}.items() if value}
    fresh = LayerSource("things", state.values())
    assert rendered(source) == rendered(fresh)
    assert source.metadata == fresh.metadata


def test_the_one_before_stays_as_it_was() -> None:
    before = LayerSource("things", [point(1, 10, 10), point(2, 20, 20)])
    tile = before.render(0, 0, 0)
    before.updated({"1": None, "2": point(2, 30, 30)})[0].updated({"2": None})
    assert before.render(0, 0, 0) == tile


def test_the_bounds_follow() -> None:
    source = LayerSource("things", [point(1, 10, 10), point(2, 20, 20)])
    assert source.updated({"2": None})[0].metadata.bounds == (10, 10, 10, 10)
    assert source.metadata.bounds == (10, 10, 20, 20)


def test_what_a_step_touches_is_where_it_was_and_where_it_is() -> None:
    source = LayerSource("things", [point(1, 10, 10)])
    assert source.updated({"1": point(1, 20, 20)})[1] == [(10, 10, 10, 10), (20, 20, 20, 20)]
    assert source.updated({"1": point(1, 10, 10, name="new")})[1] == [(10, 10, 10, 10)]
    assert source.updated({"1": None})[1] == [(10, 10, 10, 10)]
    assert source.updated({"1": item(1, None)})[1] == [(10, 10, 10, 10)]
    assert source.updated({"2": point(2, 5, 5)})[1] == [(5, 5, 5, 5)]


def test_a_step_without_a_difference_touches_nothing() -> None:
    source = LayerSource("things", [point(1, 10, 10)])
    assert source.updated({"1": point(1, 10, 10), "7": None})[1] == []


def test_threads_render_while_it_goes_on() -> None:
    state = {str(id): point(id, id / 10 - 100, 0) for id in range(500)}
    first = source = LayerSource("things", state.values())
    expected, found, over = first.render(0, 0, 0), set[bytes | None](), threading.Event()

    def render() -> None:
        while not over.is_set():
            found.add(first.render(0, 0, 0))

    threads = [threading.Thread(target=render) for _ in range(3)]
    for thread in threads:
        thread.start()
    for round in range(50):
        source, _ = source.updated({str(id): point(id, round, id % 80) for id in range(round, round + 200)})
    over.set()
    for thread in threads:
        thread.join()
    assert found == {expected}
