"""Text of publishers that is meant to do harm, or was cut in the wrong place."""

from __future__ import annotations

import json
import time

import pytest

from streaming.dialects.redis_commands.geojson.half_characters import without_half_characters
from streaming.dialects.redis_commands.geojson.values import BadValue, Value

from ..documents import MERCATOR, boxed, collection, feature, geometry, point, shown, strictly, value

HALF = "\ud83d"
WHOLE = "\U0001f6a2"


def named(name: str, x: float = 0.0) -> dict[str, object]:
    return {**point(x, 0), "properties": {"name": name}}


def text(document: object) -> bytes:
    return json.dumps(document).encode()


def test_half_a_character_costs_its_feature_and_no_other() -> None:
    one = Value(text(collection(named(WHOLE, 1), named(HALF, 2), named("\\\\" + "ud83d", 3), name="all")))
    assert one.left_out == 1
    assert strictly(one.content()) == collection(named(WHOLE, 1), named("\\\\" + "ud83d", 3), name="all")
    assert len(strictly(one.content(MERCATOR))["features"]) == 2


@pytest.mark.parametrize("document", [named(HALF), collection(named("a"), name=HALF), [HALF], {"a": HALF}])
def test_half_a_character_elsewhere_costs_the_value(document: object) -> None:
    with pytest.raises(BadValue):
        Value(text(document))


@pytest.mark.parametrize("half", ["\ud83d", "\udea2", "\udea2\ud83d", "a\ud83d\\n", "\ud83d\\"])
def test_every_half_is_found(half: str) -> None:
    made, count = without_half_characters(text(collection(named(half), named(WHOLE))))
    assert count == 1 and json.loads(made) == collection(named(WHOLE))


def test_what_is_wrong_otherwise_stays_wrong() -> None:
    broken = text(collection(named(HALF)))[:-1]
    assert without_half_characters(broken) == (broken, 0)


@pytest.mark.parametrize("number", ["9" * 400, "-" + "9" * 4000, "1e400", "1E+4000"])
def test_numbers_nobody_can_compute_with(number: str) -> None:
    written = b'{"type":"Feature","properties":{"n":%b},"geometry":{"type":"Point","coordinates":[8,47]}}' % number.encode()
    if "e" in number.lower():
        with pytest.raises(BadValue):
            Value(written)
    else:
        assert b'"n":%b' % number.encode() in Value(written).content(MERCATOR)
    position = b'{"type":"Point","coordinates":[%b,47]}' % number.encode()
    if "e" not in number.lower():
        assert Value(position).content(MERCATOR) == b"null" and not boxed().passes(Value(position))


def test_an_integer_has_no_more_digits_than_all_peers_read() -> None:
    assert Value(b"1" * 4300).text
    with pytest.raises(BadValue):
        Value(b"1" * 4301)


def test_text_that_looks_like_a_large_number_is_none() -> None:
    assert Value(b'{"id":"a1e999b"}').text


def test_a_collection_has_an_end() -> None:
    with pytest.raises(BadValue):
        Value(b'{"type":"FeatureCollection","features":[' + b",".join([b"1"] * 200_001) + b"]}")


def test_numbers_with_large_exponents_take_no_longer_than_others() -> None:
    line = b'{"type":"LineString","coordinates":[' + b",".join([b"[1e308,-1e308]"] * 50_000) + b"]}"
    began = time.thread_time()
    assert Value(line).content(MERCATOR) == b"null"
    assert time.thread_time() - began < 0.8  # it were 1.6 if msgspec read them


def test_one_positions_heights_are_its_own() -> None:
    made = shown(feature(geometry("LineString", [[8, 47], [8, 47, 1], [8, 47, 2, 3]])))["geometry"]["coordinates"]
    assert [position[2:] for position in made] == [[], [1], [2, 3]]


@pytest.mark.parametrize("kind", ["Point", "LineString", "Polygon", "MultiPolygon"])
@pytest.mark.parametrize(
    "coordinates", ['"[1,2]"', '[["1,2"]]', "[{}]", "[1,[2]]", "[[[[[1,2]]]]]", "[true,2]", "[[1,2],[3]]", "[[1,2],3]"]
)
def test_what_only_looks_like_coordinates_is_none(kind: str, coordinates: str) -> None:
    assert Value(b'{"type":"%b","coordinates":%b}' % (kind.encode(), coordinates.encode())).invalid


def test_many_features_with_boxes_and_heights_keep_each_their_own() -> None:
    many = [
        {**feature(geometry("Point", [x / 100, 47, x], bbox=[x / 100, 47, x / 100, 47])), "bbox": [x / 100, 46, x / 100, 48]}
        for x in range(200)
    ]
    for x, made in enumerate(strictly(value(collection(*many)).content(MERCATOR))["features"]):
        east = made["geometry"]["coordinates"][0]
        assert made["geometry"]["coordinates"][2] == x
        assert made["bbox"][0] == pytest.approx(east) and made["geometry"]["bbox"][2] == pytest.approx(east)
