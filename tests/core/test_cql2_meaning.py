"""What CQL2 filters select of real features: as the `cql2` package evaluates them, and as the rest of GeoStream reads boxes and times."""

from __future__ import annotations

import gzip
import json
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cql2
import msgspec
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from streaming.core.expressions import compile_expression
from streaming.core.filters import FilterSpec, compile_filter
from streaming.core.items import Item

DEMO = Path(__file__).parent.parent.parent / "streaming" / "demo"
QUAKES: list[dict[str, Any]] = json.loads(gzip.decompress((DEMO / "earthquakes-2018-02.geojson.gz").read_bytes()))["features"][:400]
FLIGHTS: list[dict[str, Any]] = [
    json.loads(line) for line in gzip.decompress((DEMO / "flights-switzerland.geojsonl.gz").read_bytes()).splitlines()[:400]
]

SAME_AS_THE_PACKAGE = [
    "mag > 2",
    "mag >= 2 AND mag < 3 OR magType = 'mb'",
    "NOT (mag > 2)",
    "mag <> 2",
    "magType = 'ml' AND nst > 20",
    "felt IS NULL",
    "felt IS NOT NULL AND felt > 10",
    "magType IN ('ml', 'mb')",
    "magType NOT IN ('ml', 'mb')",
    "nst IN (10, 20, 30)",
    "mag BETWEEN 1.5 AND 2.5",
    "place LIKE '%California%' OR place LIKE '_km %'",
    "place NOT LIKE '%, CA'",
    "ACCENTI(CASEI(place)) LIKE '%alaska'",
    "CASEI(magType) = CASEI('MB')",
    "ACCENTI(place) = place",
    "mag * 2 + 1 > 5",
    "mag - 1 < gap / 100",
    "sig % 7 = 3",
    "sig div 10 = 4",
    "mag ^ 2 > 9",
    "-mag < -3",
    "mag + missing > 1",
    "id LIKE 'ci%'",
    "S_INTERSECTS(geometry, BBOX(-125, 32, -114, 42))",
    "S_WITHIN(geometry, POLYGON((-125 32, -114 32, -114 42, -125 42, -125 32)))",
    "S_DISJOINT(geometry, BBOX(-125, 32, -114, 42))",
    "updated > time",
    "mag > 5 OR missing > 1",
    "NOT (missing > 1)",
    "status = 'automatic' AND NOT (mag > 1 AND nst > 10)",
]


def members(feature: dict[str, Any]) -> dict[str, Any]:
    return {**{name: feature[name] for name in ("id", "geometry")}, **feature["properties"]}


def by_package(expression: str, feature: dict[str, Any]) -> bool:
    try:
        return bool(cql2.parse_text(expression).matches(members(feature)))
    except Exception:  # noqa: BLE001 (what it cannot decide)
        return False


def selected(spec: FilterSpec, features: list[dict[str, Any]]) -> list[Any]:
    condition = compile_filter(spec)
    return [feature["id"] for feature in features if condition.matches(Item("", msgspec.json.encode(feature), 0))]


def text(expression: str) -> FilterSpec:
    return FilterSpec(filter=expression)


@pytest.mark.parametrize("expression", SAME_AS_THE_PACKAGE)
def test_it_selects_what_the_package_selects(expression: str) -> None:
    assert selected(text(expression), QUAKES) == [feature["id"] for feature in QUAKES if by_package(expression, feature)]


@pytest.mark.parametrize("expression", SAME_AS_THE_PACKAGE)
def test_text_and_json_mean_the_same(expression: str) -> None:
    as_json = cql2.parse_text(expression).to_json()
    assert compile_expression(as_json).text == compile_expression(expression).text


def number(feature: dict[str, Any], name: str) -> float:
    value: float = feature["properties"][name]
    return value


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("floor(mag) = 2", lambda f: number(f, "mag") // 1 == 2),
        ("ceil(mag) = 3", lambda f: -(-number(f, "mag") // 1) == 3),
        ("round(mag) = 2", lambda f: 1.5 <= number(f, "mag") < 2.5),
        ("abs(tz) = 480", lambda f: abs(number(f, "tz")) == 480),
        ("length(place) > 30", lambda f: len(f["properties"]["place"]) > 30),
        ("upper(magType) = 'ML'", lambda f: f["properties"]["magType"].upper() == "ML"),
        ("lower(place) LIKE '%alaska'", lambda f: f["properties"]["place"].lower().endswith("alaska")),
        ("magType BETWEEN 'mb' AND 'md'", lambda f: "mb" <= f["properties"]["magType"] <= "md"),
        ("CASEI(magType) IN (CASEI('ML'), CASEI('MB'))", lambda f: f["properties"]["magType"] in ("ml", "mb")),
        (
            "ACCENTI(place) LIKE '%a'",
            lambda f: "".join(c for c in unicodedata.normalize("NFD", f["properties"]["place"]) if not unicodedata.combining(c))[-1] == "a",
        ),
    ],
)
def test_what_the_package_cannot_evaluate_selects_what_python_computes(expression: str, expected: Callable[[dict[str, Any]], bool]) -> None:
    wanted = [feature["id"] for feature in QUAKES if expected(feature)]
    assert 0 < len(wanted) < len(QUAKES)
    assert selected(text(expression), QUAKES) == wanted


@pytest.mark.parametrize(("one", "other"), [("Straße", "STRASSE"), ("ΣΊΣΥΦΟΣ", "σίσυφος"), ("Ⅷ", "ⅷ")])
def test_casei_folds_case_as_unicode_has_it(one: str, other: str) -> None:
    assert compile_expression(f"CASEI(name) = CASEI('{other}')").matches({"name": one})


@pytest.mark.parametrize(
    ("expression", "interval"),
    [
        ("t > TIMESTAMP('2018-02-06T12:00:00Z')", "2018-02-06T12:00:00.000001Z/.."),
        ("t BETWEEN TIMESTAMP('2018-02-06T06:00:00Z') AND TIMESTAMP('2018-02-06T12:00:00Z')", "2018-02-06T06:00:00Z/2018-02-06T12:00:00Z"),
        ("t = DATE('2018-02-05')", "2018-02-05"),
        ("t BETWEEN DATE('2018-02-04') AND DATE('2018-02-05')", "2018-02-04/2018-02-05"),
        ("T_INTERSECTS(t, INTERVAL('2018-02-04', '2018-02-05'))", "2018-02-04/2018-02-05"),
        ("T_AFTER(t, DATE('2018-02-05'))", "2018-02-06/.."),
        ("t <= DATE('2018-02-05')", "../2018-02-05"),
    ],
)
@pytest.mark.parametrize("name", ["time", "seconds"])
def test_times_are_read_as_datetime_reads_them(expression: str, interval: str, name: str) -> None:
    quakes = [{**quake, "properties": {**quake["properties"], "seconds": quake["properties"]["time"] / 1000}} for quake in QUAKES]
    wanted = selected(FilterSpec(datetime=interval, time_property=name), quakes)
    assert 0 < len(wanted) < len(quakes)
    assert selected(text(expression.replace("t ", f"{name} ", 1).replace("(t,", f"({name},")), quakes) == wanted


BOXES = [
    [170, -90, -170, 90], [10, -10, -10, 10], [180, -90, -180, 90], [-180, 0, -180, 0], [175, -40, 175, 40], [0, 10, -10, 10],
    [-170, -60, 170, 60], [-180, -90, 180, 90], [0, 0, 0, 0],
]  # fmt: skip


def as_text(box: list[float]) -> str:
    return f"BBOX({', '.join(map(str, box))})"


@pytest.mark.parametrize("box", BOXES)
def test_a_box_selects_what_bbox_selects(box: list[float]) -> None:
    places = [[x, y] for x in range(-180, 181, 5) for y in (-90, -40, 0, 10, 40, 90)]
    lines = [[[178, 5], [180, 5]], [[-180, 5], [-178, 5]], [[160, 0], [178, 3]], [[-20, -20], [20, 20]]]
    features = [{"type": "Feature", "id": f"{place}", "geometry": {"type": "Point", "coordinates": place}} for place in places]
    features += [{"type": "Feature", "id": f"{line}", "geometry": {"type": "LineString", "coordinates": line}} for line in lines]
    wanted = selected(FilterSpec(bbox=box), features)
    assert selected(text(f"S_INTERSECTS(geometry, {as_text(box)})"), features) == wanted
    as_json = {"op": "s_intersects", "args": [{"property": "geometry"}, {"bbox": box}]}
    assert selected(FilterSpec(filter=as_json), features) == wanted
    others = [feature["id"] for feature in features if feature["id"] not in wanted]
    assert selected(text(f"S_DISJOINT(geometry, {as_text(box)})"), features) == others


RELATIONS = ["intersects", "equals", "disjoint", "touches", "within", "overlaps", "crosses", "contains"]


@pytest.mark.parametrize("relation", RELATIONS)
@given(longitude=st.integers(-180, 170), latitude=st.integers(-30, 20), width=st.integers(1, 10), height=st.integers(1, 10))
def test_every_spatial_function_reads_a_box_over_the_antimeridian(
    relation: str, longitude: int, latitude: int, width: int, height: int
) -> None:
    mine = shapely.box(longitude, latitude, longitude + width, latitude + height)
    box = shapely.union(shapely.box(170, -10, 180, 10), shapely.box(-180, -10, -170, 10))
    expected = getattr(shapely, relation)(mine, box)
    member = {"geometry": json.loads(shapely.to_geojson(mine))}
    assert compile_expression(f"S_{relation}(geometry, BBOX(170, -10, -170, 10))").matches(member) == expected
