"""How properties are numbered in a vector tile: readers read what was written, and who changes few features changes few bytes."""

from __future__ import annotations

import os
import random
import sys
from collections.abc import Sequence
from typing import Any

import mapbox_vector_tile
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mapbox_vector_tile.Mapbox.vector_tile_pb2 import tile as Tile

from streaming.tiles import deltas, mvt
from streaming.tiles.mvt import SLOTS_FROM, TileFeature, encode_layer
from streaming.tiles.mvt_values import encode_properties
from tests.processes import run

Properties = dict[str, Any]
VALUES = st.text(max_size=5) | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False) | st.booleans()


def encoded(features: Sequence[Properties]) -> bytes:
    return encode_layer(
        "things", [TileFeature((number % 4096, number // 4096), encode_properties(each), number) for number, each in enumerate(features)]
    )


def read(data: bytes) -> list[Properties]:
    """With the types of the values: 1, 1.0 and True are equal in Python."""
    features = mapbox_vector_tile.decode(data)["things"]["features"]
    return [typed(feature["properties"]) for feature in sorted(features, key=lambda feature: feature["id"])]


def typed(properties: Properties) -> Properties:
    return {key: (type(value), value) for key, value in properties.items()}


def layer(data: bytes) -> Any:
    """As protobuf reads it."""
    message = Tile()
    message.ParseFromString(data)
    return message.layers[0]


def vehicle(dice: random.Random) -> Properties:
    """Values of all kinds: of few, of hundreds, and of one feature each."""
    return {
        "line": str(dice.randrange(40)),
        "heading": dice.randrange(360),
        "speed": round(dice.uniform(0, 120), 1),
        "altitude": round(dice.uniform(0, 12_000), 1),
        "occupied": dice.random() < 0.5,
    }


def vehicles(count: int) -> list[Properties]:
    dice = random.Random(1)
    return [vehicle(dice) for _ in range(count)]


def scattered(features: Sequence[Properties], share: float) -> list[Properties]:
    """Some, anywhere, with all that they say made anew."""
    dice = random.Random(2)
    changed = set(dice.sample(range(len(features)), round(len(features) * share)))
    return [vehicle(dice) if number in changed else each for number, each in enumerate(features)]


def delta(old: Sequence[Properties], new: Sequence[Properties]) -> float:
    """The size of the delta, as a share of the tile."""
    return len(deltas.encode("prefix+zstd", encoded(old), encoded(new))) / len(encoded(new))


@given(st.lists(st.dictionaries(st.sampled_from("abcdef"), VALUES), min_size=1, max_size=30))
def test_whatever_was_written_is_read(features: list[Properties]) -> None:
    for at_least in (0, SLOTS_FROM):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(mvt, "SLOTS_FROM", at_least)
            assert read(encoded(features)) == [typed(each) for each in features]


@pytest.mark.parametrize("count", [SLOTS_FROM - 1, SLOTS_FROM, SLOTS_FROM + 1, 20_000])
def test_any_number_of_values_is_read(count: int) -> None:
    features = [{"number": number} for number in range(count)]
    assert read(encoded(features)) == [typed(each) for each in features]


@pytest.mark.parametrize("hashed", [0, 2**32 - 1])
def test_values_of_equal_hashes_are_different_values(monkeypatch: pytest.MonkeyPatch, hashed: int) -> None:
    monkeypatch.setattr(mvt, "crc32", lambda value: hashed)
    features = [{"number": number} for number in range(SLOTS_FROM)]
    assert read(encoded(features)) == [typed(each) for each in features]


def test_every_slot_holds_a_value_and_every_number_names_one() -> None:
    things = layer(encoded(vehicles(2000)))
    assert {len(value.ListFields()) for value in things.values} == {1}
    assert max(number for feature in things.features for number in feature.tags[1::2]) < len(things.values)
    assert len(set(things.keys)) == len(things.keys)


def test_few_values_have_no_gaps() -> None:
    features = [{"number": number % 100} for number in range(SLOTS_FROM)]
    assert len(layer(encoded(features)).values) == 100


def test_less_than_two_thirds_of_the_slots_are_gaps() -> None:
    for count in range(SLOTS_FROM, 3 * SLOTS_FROM, 50):
        things = layer(encoded([{"number": number} for number in range(count)]))
        assert count < len(things.values) < 3 * count


def test_equal_features_are_equal_bytes_in_every_process() -> None:
    program = (
        "import hashlib; from streaming.tiles.mvt import *; from streaming.tiles.mvt_values import encode_properties;"
        "shapes = [TileFeature((n, n), encode_properties({f'key {n % 7}': n, 'text': f'{n}'}), n) for n in range(600)];"
        "print(hashlib.sha256(encode_layer('things', shapes)).hexdigest())"
    )
    found = {run(sys.executable, "-c", program, env={**os.environ, "PYTHONHASHSEED": seed}).stdout for seed in ("1", "2")}
    assert len(found) == 1


def test_a_tenth_of_many_features_changes_less_than_a_tenth_of_the_bytes() -> None:
    features = vehicles(10_000)
    assert delta(features, scattered(features, 0.1)) < 0.1


def test_features_that_come_and_go_do_not_renumber_the_others() -> None:
    features = [TileFeature((0, 0), encode_properties(each), number) for number, each in enumerate(vehicles(5000))]
    old, new = encode_layer("things", features[10:]), encode_layer("things", features[:-10])
    assert len(deltas.encode("prefix+zstd", old, new)) < len(new) / 50


def test_a_new_value_of_a_feature_comes_to_stand_where_its_old_one_was() -> None:
    old = [{"height": number + 0.5} for number in range(SLOTS_FROM)]
    new = [{"height": -1.5}, *old[1:]]
    assert [feature.tags for feature in layer(encoded(old)).features] == [feature.tags for feature in layer(encoded(new)).features]


def test_a_property_that_the_first_feature_loses_does_not_renumber_the_others() -> None:
    features = vehicles(1000)
    without = [{key: value for key, value in features[0].items() if key != "line"}, *features[1:]]
    assert len(deltas.encode("prefix+zstd", encoded(features), encoded(without))) < 60
