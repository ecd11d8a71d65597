"""`reproject`, `simplify` and `spatial-join`, against GDAL, geodesics and comparing everything with everything."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from pyproj import Geod
from rasterio.warp import transform_geom

from processes.worker import BadInput, Job, Worker
from tests.profiles import examples

from .conftest import Call, collection, feature
from .test_buffer import COUNTRIES, distances

GEOD = Geod(ellps="WGS84")


def shapes(document: Any) -> Any:
    return shapely.from_geojson([json.dumps(each["geometry"]) for each in document["features"]])


def polygon(*corners: tuple[float, float]) -> dict[str, Any]:
    return {"type": "Polygon", "coordinates": [[*map(list, corners), list(corners[0])]]}


# -- reproject --------------------------------------------------------------


@pytest.mark.parametrize("crs", ["EPSG:3857", "EPSG:32632", "EPSG:2056", "http://www.opengis.net/def/crs/EPSG/0/3035"])
def test_coordinates_are_those_of_gdal(call: Call, crs: str) -> None:
    line = {"type": "LineString", "coordinates": [[7.1, 46.2], [8.5, 47.25], [9.75, 46.9]]}
    made = call("reproject", features=collection(feature(line, 1, name="a")), to_crs=crs)
    code = crs.rsplit("/", 1)[-1].rsplit(":", 1)[-1]
    expected = transform_geom("OGC:CRS84", f"EPSG:{code}", line)
    assert made["crs"]["properties"]["name"] == f"urn:ogc:def:crs:EPSG::{code}"
    assert np.asarray(made["features"][0]["geometry"]["coordinates"]) == pytest.approx(np.asarray(expected["coordinates"]), abs=1e-3)
    back = call("reproject", features=made, to_crs="CRS84", from_crs=crs)
    assert "crs" not in back and back["features"][0]["properties"] == {"name": "a"}
    assert np.asarray(back["features"][0]["geometry"]["coordinates"]) == pytest.approx(np.asarray(line["coordinates"]), abs=1e-7)


def test_heights_stay(call: Call) -> None:
    made = call("reproject", features={"type": "Point", "coordinates": [7, 46, 1234.5]}, to_crs="EPSG:3857")
    assert made["features"][0]["geometry"]["coordinates"][2] == 1234.5


@pytest.mark.parametrize(
    ("inputs", "name"),
    [
        ({"to_crs": "nonsense"}, "to_crs"),
        ({"to_crs": "EPSG:999999"}, "to_crs"),
        ({"to_crs": "EPSG:5703"}, "to_crs"),
        ({"to_crs": "+proj=merc"}, "to_crs"),
        ({"to_crs": "EPSG:3857", "from_crs": "EPSG:1"}, "from_crs"),
        ({"to_crs": "EPSG:3035", "features": {"type": "Point", "coordinates": [-170, -52]}}, "features"),
        ({"to_crs": "CRS84", "from_crs": "EPSG:32632", "features": {"type": "Point", "coordinates": [1e9, 1e9]}}, "features"),
        ({"to_crs": "CRS84", "from_crs": "EPSG:32632", "features": {"type": "Point", "coordinates": ["a", 1]}}, "features"),
    ],
)
def test_what_cannot_be_reprojected_is_named(call: Call, inputs: dict[str, Any], name: str) -> None:
    with pytest.raises(BadInput) as error:
        call("reproject", **{"features": {"type": "Point", "coordinates": [7, 46]}, **inputs})
    assert error.value.input == name


# -- simplify ---------------------------------------------------------------


def test_lines_are_within_the_tolerance(call: Call) -> None:
    random = np.random.default_rng(1)
    places = np.column_stack((np.linspace(-30, 30, 4000), 50 + np.cumsum(random.normal(0, 0.002, 4000))))
    line = shapely.LineString(places)
    made = call("simplify", features=json.loads(shapely.to_geojson(line)), tolerance=500)
    (simple,) = shapes(made)
    kept = shapely.get_coordinates(simple)
    assert 10 < len(kept) < 2000 and {tuple(place) for place in kept} <= {tuple(place) for place in places}
    assert distances(simple, places[::50], 0.001).max() <= 510


def test_shared_borders_stay_shared(call: Call) -> None:
    random = np.random.default_rng(2)
    border = np.column_stack((8 + random.normal(0, 0.01, 300), np.linspace(46, 47, 300)))
    west = shapely.Polygon([(7, 46), *border, (7, 47)])
    east = shapely.Polygon([(9, 46), *border, (9, 47)])
    document = collection(*(feature(json.loads(shapely.to_geojson(each)), number) for number, each in enumerate((west, east))))
    simple = shapes(call("simplify", features=document, tolerance=1500))
    assert shapely.get_num_coordinates(simple).sum() < 200
    assert shapely.coverage_is_valid(simple) and shapely.is_valid(simple).all()
    assert shapely.union_all(simple).area == pytest.approx(shapely.union_all([west, east]).area, rel=1e-3)


def test_the_same_detail_is_left_out_in_the_north_as_at_the_equator(call: Call) -> None:
    """A tolerance in degrees, or in Mercator's metres, would be another one there."""

    def teeth(latitude: float) -> int:
        outline = [GEOD.fwd(10, latitude, azimuth, 50_000 + (700 if azimuth % 2 else 0))[:2] for azimuth in range(360)]
        simple = shapes(call("simplify", features=polygon(*outline), tolerance=700))[0]
        return int(shapely.get_num_coordinates(simple))

    assert teeth(75) == pytest.approx(teeth(0), rel=0.2)


def test_countries_lose_most_positions_and_no_neighbour(call: Call) -> None:
    countries = json.loads(COUNTRIES.read_text())
    before, after = shapes(countries), shapes(call("simplify", features=countries, tolerance=50_000))
    assert shapely.get_num_coordinates(after).sum() < 0.6 * shapely.get_num_coordinates(before).sum()
    assert shapely.is_valid(after).all()
    neighbours = {"Switzerland", "Austria", "Germany", "France", "Italy"}
    indexes = [number for number, each in enumerate(countries["features"]) if each["properties"]["name"] in neighbours]
    assert shapely.coverage_is_valid(after[indexes])


def test_points_and_collections_of_geometries(call: Call) -> None:
    point, line = {"type": "Point", "coordinates": [1, 2, 3]}, {"type": "LineString", "coordinates": [[0, 0, 1], [1, 1e-9, 2], [2, 0, 3]]}
    made = call(
        "simplify", features=collection(feature(point), feature({"type": "GeometryCollection", "geometries": [point, line]})), tolerance=1
    )
    assert made["features"][0]["geometry"] == point
    assert made["features"][1]["geometry"]["geometries"][1]["coordinates"] == [[0, 0, 1], [2, 0, 3]]


# -- spatial-join -----------------------------------------------------------

BOXES = st.lists(
    st.tuples(*[st.integers(0, 8)] * 4).map(lambda box: shapely.box(box[0], box[1], box[0] + box[2] + 1, box[1] + box[3] + 1)), max_size=8
)


@settings(max_examples=examples(40, long=1000))
@given(BOXES, BOXES, st.sampled_from(["intersects", "within", "contains", "covers", "covered_by", "touches", "overlaps"]))
def test_every_pair_is_found(builtin: Worker, left: list[Any], right: list[Any], predicate: str) -> None:
    def document(boxes: list[Any], name: str) -> Any:
        return collection(*(feature(json.loads(shapely.to_geojson(each)), number, **{name: number}) for number, each in enumerate(boxes)))

    inputs = {
        "features": document(left, "a"),
        "join": document(right, "b"),
        "predicate": predicate,
        "matches": "each",
        "keep_unmatched": False,
    }
    made = builtin.call("spatial-join", inputs)["features"]
    expected = [(a, b) for a, one in enumerate(left) for b, other in enumerate(right) if getattr(shapely, predicate)(one, other)]
    assert [(each["properties"]["a"], each["properties"]["b"]) for each in made["features"]] == expected
    assert len({each["id"] for each in made["features"]}) == len(expected)


def test_the_first_match_and_those_without_one(call: Call) -> None:
    points = collection(*(feature({"type": "Point", "coordinates": [x, 0.5]}, x, name="point") for x in (0, 5)))
    areas = collection(*(feature(polygon((-1, 0), (1, 0), (1, 1), (-1, 1)), name=name) for name in ("first", "second")))
    first, other = call("spatial-join", features=points, join=areas, prefix="area_")["features"]
    assert first["properties"] == {"name": "point", "area_name": "first"} and other["properties"] == {"name": "point"}
    assert len(call("spatial-join", features=points, join=areas, keep_unmatched=False)["features"]) == 1
    assert [each["id"] for each in call("spatial-join", features=points, join=areas, matches="each")["features"]] == ["0/1", "0/2", 5]


def test_matches_are_bounded(call: Call, settings: Any) -> None:
    settings.GEOSTREAM_PROCESS_FEATURES = 3
    points = collection(*(feature({"type": "Point", "coordinates": [0, 0]}) for _ in range(3)))
    with pytest.raises(BadInput, match="more than 3 matches"):
        call("spatial-join", features=points, join=points, matches="each")


# -- echo -------------------------------------------------------------------


def test_echo_gives_back_what_it_is_given(builtin: Worker) -> None:
    inputs = {"text": "teststring", "numbers": [1, 2], "blob": b"II*\0", "area": {"bbox": [1, 2, 3, 4]}}
    made = builtin.call("echo", inputs)
    assert next(iter(builtin.processes["echo"].description["inputs"])) == "text"
    assert builtin.processes["echo"].description["inputs"].keys() == builtin.processes["echo"].description["outputs"].keys()
    assert made["text"] == "teststring" and made["numbers"] == [1, 2] and made["blob"] == b"II*\0" and made["area"].bbox == (1, 2, 3, 4)
    assert builtin.call("echo", {"text": "a"}) == {"text": "a"}


def test_echo_pauses_and_can_be_cancelled(builtin: Worker) -> None:
    job = Job()
    job.cancel()
    with pytest.raises(BaseException, match="dismissed"):
        builtin.call("echo", {"text": "a", "pause": 3600}, job)
