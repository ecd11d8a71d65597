"""GeoJSON in another CRS than WGS 84, as QGIS, ogr2ogr and Esri write it; the right places are those of GDAL."""

from __future__ import annotations

import gzip
import json
import os
import threading
from pathlib import Path
from typing import Any

import pytest
from rasterio.warp import transform, transform_geom

from streaming.core.errors import StreamError
from streaming.features.feature_file import FeatureFile
from streaming.features.geojson import parse_feature
from streaming.features.source_crs import SourceCrs, code_of_crs, source_code
from streaming.features.splitting import LineSplitter, split_features
from tests.commands.conftest import collection, feature

LV95 = (2683141.0, 1248117.0)
OGC_URN = "urn:ogc:def:crs:EPSG::2056"
CLOSE = 1e-8  # degrees: a millimetre


def named(name: str) -> dict[str, Any]:
    return {"type": "name", "properties": {"name": name}}


def zurich(identity: str = "a", *, crs: Any = None, **members: Any) -> dict[str, Any]:
    own = {} if crs is None else {"crs": crs}
    return {
        "type": "Feature",
        "id": identity,
        "geometry": {"type": "Point", "coordinates": [*LV95, 408.5]},
        "properties": {},
        **own,
        **members,
    }


def encoded(value: Any) -> bytes:
    return json.dumps(value).encode()


def stored(record: Any) -> Any:
    if isinstance(record, StreamError):
        raise record
    return json.loads(parse_feature(record)[1])


def by_gdal(x: float, y: float, crs: str = "EPSG:2056") -> list[float]:
    longitude, latitude = transform(crs, "EPSG:4326", [x], [y])
    return [longitude[0], latitude[0]]


def is_zurich(found: Any) -> bool:
    assert "crs" not in found
    assert found["geometry"]["coordinates"] == pytest.approx([*by_gdal(*LV95), 408.5], abs=CLOSE)
    return True


@pytest.mark.parametrize(
    ("crs", "code"),
    [
        (named("urn:ogc:def:crs:EPSG::2056"), 2056),
        (named("urn:ogc:def:crs:EPSG:6.9:2056"), 2056),
        (named("urn:x-ogc:def:crs:EPSG:2056"), 2056),
        (named("EPSG:2056"), 2056),
        (named("epsg:2056"), 2056),
        (named("http://www.opengis.net/def/crs/EPSG/0/2056"), 2056),
        (named("urn:ogc:def:crs:EPSG::3857"), 3857),
        (named("EPSG:900913"), 900913),
        (named("urn:ogc:def:crs:OGC:1.3:CRS84"), 4326),
        (named("urn:ogc:def:crs:OGC::CRS84"), 4326),
        (named("urn:ogc:def:crs:EPSG::4326"), 4326),
        (named("OGC:CRS84"), 4326),
        (named("urn:ogc:def:crs:OGC:1.3:CRS84h"), 4326),
        (named("urn:ogc:def:crs:OGC::CRS84h"), 4326),
        (named("WGS84"), 4326),
        (named("WGS 84"), 4326),
        (named("urn:ogc:def:crs:ESRI::102100"), 102100),
        ({"type": "EPSG", "properties": {"code": 2056}}, 2056),
        ({"type": "EPSG", "properties": {"code": "2056"}}, 2056),
        (None, 4326),
    ],
)
def test_the_spellings_of_a_crs(crs: Any, code: int) -> None:
    assert code_of_crs(crs) == code


@pytest.mark.parametrize(
    "crs",
    [
        named("urn:ogc:def:crs:EPSG::99999"),
        named("EPSG:4978"),
        named("Swiss grid"),
        named(""),
        {"type": "link", "properties": {"href": "https://example.com/crs", "type": "proj4"}},
        {"type": "name"},
        {"type": "name", "properties": {"name": True}},
        "EPSG:2056",
        [],
        7,
    ],
)
def test_a_crs_that_is_not_known_is_refused(crs: Any) -> None:
    with pytest.raises(StreamError) as caught:
        code_of_crs(crs)
    assert caught.value.code == "invalid_crs"
    with pytest.raises(StreamError):
        list(split_features(encoded({**collection(zurich()), "crs": crs})))


@pytest.mark.parametrize("before", [True, False])
def test_a_collection_is_projected_wherever_its_crs_stands(before: bool) -> None:
    whole = {"crs": named(OGC_URN), **collection(zurich("a"), zurich("b"))}
    body = encoded(whole if before else dict(reversed(whole.items())))
    assert [is_zurich(stored(record)) for record in split_features(body)] == [True, True]


@pytest.mark.parametrize("place", ["feature", "geometry"])
def test_a_feature_or_geometry_may_have_its_own(place: str) -> None:
    one = zurich(crs=named(OGC_URN))
    if place == "geometry":
        one["geometry"]["crs"] = one.pop("crs")
    assert is_zurich(stored(encoded(one)))
    assert is_zurich(stored(one))
    degrees = {"type": "Feature", "id": "d", "geometry": {"type": "Point", "coordinates": [8, 47]}, "properties": {}, "crs": named("CRS84")}
    records = list(split_features(encoded({**collection(one, degrees), "crs": named("EPSG:3857")})))
    assert is_zurich(stored(records[0]))
    assert stored(records[1])["geometry"]["coordinates"] == [8, 47]


def test_small_numbers_are_not_taken_for_degrees() -> None:
    local = {"type": "Feature", "id": "a", "geometry": {"type": "Point", "coordinates": [120, 45]}, "properties": {}}
    (record,) = split_features(encoded({**collection(local), "crs": named("EPSG:3857")}))
    assert stored(record)["geometry"]["coordinates"] == pytest.approx(by_gdal(120, 45, "EPSG:3857"), abs=CLOSE)


GEOMETRIES: list[dict[str, Any]] = [
    {"type": "LineString", "coordinates": [[2600000, 1200000, 5], [2700000, 1250000]]},
    {"type": "MultiPoint", "coordinates": [[2600000, 1200000], [2700000, 1250000]]},
    {"type": "MultiLineString", "coordinates": [[[2600000, 1200000], [2700000, 1250000]], [[2600000, 1100000], [2650000, 1150000]]]},
    {"type": "Polygon", "coordinates": [[[2600000, 1200000], [2610000, 1200000], [2610000, 1210000], [2600000, 1200000]]]},
    {"type": "MultiPolygon", "coordinates": [[[[2600000, 1200000], [2610000, 1200000], [2610000, 1210000], [2600000, 1200000]]]]},
    {
        "type": "GeometryCollection",
        "geometries": [
            {"type": "Point", "coordinates": [2600000, 1200000]},
            {"type": "LineString", "coordinates": [[2600000, 1200000], [2700000, 1250000]]},
        ],
    },
]


def numbers(value: Any) -> list[float]:
    if isinstance(value, dict):
        return [number for part in value.get("geometries", [value.get("coordinates")]) for number in numbers(part)]
    return [number for part in value for number in numbers(part)] if isinstance(value, list | tuple) else [value]


@pytest.mark.parametrize("geometry", GEOMETRIES)
def test_every_type_of_geometry_is_projected_as_gdal_does(geometry: dict[str, Any]) -> None:
    flat = json.loads(json.dumps(geometry).replace(", 5]", "]"))
    expected = transform_geom("EPSG:2056", "EPSG:4326", flat)
    one = {"type": "Feature", "id": 1, "geometry": flat, "properties": {}, "bbox": [2600000, 1200000, 2700000, 1250000]}
    (record,) = split_features(encoded({**collection(one), "crs": named("EPSG:2056")}))
    found = stored(record)
    assert numbers(found["geometry"]) == pytest.approx(numbers(expected), abs=CLOSE)
    assert "bbox" not in found


def test_what_is_not_a_feature_costs_only_itself() -> None:
    bad = [7, {"type": "Feature", "id": "x", "geometry": {"type": "Point", "coordinates": ["1", 2]}, "properties": {}}, {"type": "Feature"}]
    far = {"type": "Feature", "id": "far", "geometry": {"type": "Point", "coordinates": [1e30, 1e30]}, "properties": {}}
    nowhere = {"type": "Feature", "id": "n", "geometry": None, "properties": {}}
    records = list(split_features(encoded({**collection(zurich(), *bad, far, nowhere), "crs": named(OGC_URN)})))
    assert len(records) == 6
    assert is_zurich(stored(records[0]))
    for record, reason in zip(records[1:5], ["JSON object", "'1' is not a number", "geometry: missing", "does not reach"], strict=True):
        with pytest.raises(StreamError, match=reason):
            stored(record)
    assert stored(records[5])["geometry"] is None


@pytest.mark.parametrize("crs", ["EPSG:2056", "EPSG:3857", "EPSG:32632", "EPSG:27700", "EPSG:4258"])
@pytest.mark.parametrize("far", [1e8, 1e12, 1e30])
def test_a_position_far_outside_of_the_crs_is_refused(crs: str, far: float) -> None:
    one = {"type": "Feature", "id": "far", "geometry": {"type": "Point", "coordinates": [far, far]}, "properties": {}}
    (record,) = split_features(encoded({**collection(one), "crs": named(crs)}))
    assert isinstance(record, StreamError)
    assert f"{crs} does not reach" in record.message


def test_the_edge_of_web_mercator_is_the_antimeridian() -> None:
    one = {
        "type": "Feature",
        "id": 1,
        "geometry": {"type": "Point", "coordinates": [20037508.342789244, 20037508.342789244]},
        "properties": {},
    }
    (record,) = split_features(encoded({**collection(one), "crs": named("EPSG:3857")}))
    assert stored(record)["geometry"]["coordinates"] == pytest.approx([180, 85.0511287798])


def test_half_an_emoji_in_a_projected_collection_costs_one_feature() -> None:
    body = encoded({**collection(zurich("a", title="\ud83d"), zurich("b")), "crs": named(OGC_URN)})
    first, second = split_features(body)
    with pytest.raises(StreamError):
        stored(first)
    assert is_zurich(stored(second))


def test_a_crs_that_is_given_goes_before_what_the_features_say() -> None:
    given = SourceCrs.of("EPSG:2056")
    for wrong in (named("EPSG:3857"), named("nonsense")):
        (record,) = split_features(encoded({**collection(zurich()), "crs": wrong}), given)
        assert is_zurich(stored(record))
        (record,) = given.in_wgs84([encoded(zurich(crs=wrong))])
        assert is_zurich(stored(record))
    (record,) = split_features(encoded({**collection(feature("a")), "crs": named(OGC_URN)}), SourceCrs.of("EPSG:4326"))
    assert stored(record)["geometry"] == feature("a")["geometry"]


def test_a_name_is_read_as_it_is_of_the_answer() -> None:
    assert source_code("https://www.opengis.net/def/crs/OGC/1.3/CRS84") == 4326
    with pytest.raises(StreamError):
        source_code("EPSG:nothing")


SHAPES = {
    "collection": encoded({"crs": named(OGC_URN), **collection(zurich(), zurich("b"))}),
    "array": encoded([zurich(crs=named(OGC_URN)), zurich("b", crs=named(OGC_URN))]),
    "collections one a line": b"\n".join(encoded({"crs": named(OGC_URN), **collection(zurich(identity))}) for identity in "ab"),
    "indented": json.dumps(
        {"type": "FeatureCollection", "name": "x", "crs": named(OGC_URN), "features": [zurich(), zurich("b")]}, indent=1
    ).encode(),
    "lines": b"\n".join(encoded(zurich(identity, crs=named(OGC_URN))) for identity in "ab"),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_files_are_projected(tmp_path: Path, shape: str) -> None:
    path = tmp_path / "file"
    path.write_bytes(SHAPES[shape])
    with FeatureFile(str(path)) as file:
        found = [stored(record) for record in file.records()]
    assert [one["id"] for one in found] == ["a", "b"]
    assert all(map(is_zurich, found))


@pytest.mark.parametrize(
    "text",
    [encoded(collection(zurich(), zurich("b"))), b"\n".join(map(encoded, [zurich(), zurich("b")])), encoded([zurich(), zurich("b")])],
)
def test_files_are_read_in_the_crs_that_is_given(tmp_path: Path, text: bytes) -> None:
    path = tmp_path / "file"
    path.write_bytes(text)
    with FeatureFile(str(path), SourceCrs.of("2056")) as file:
        found = [stored(record) for record in file.records()]
    assert len(found) == 2
    assert all(map(is_zurich, found))


def test_a_damaged_file_gives_what_precedes_the_damage(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(SHAPES["collection"][:-2])
    with FeatureFile(str(path)) as file:
        first, second, error = file.records()
    assert is_zurich(stored(first)) and is_zurich(stored(second))
    assert isinstance(error, StreamError)


def behind(*identities: str, crs: str = OGC_URN) -> bytes:
    """A collection as ogr2ogr may write it: with its CRS behind its features."""
    return encoded({**collection(*map(zurich, identities)), "crs": named(crs)})


def read(path: Path | str, crs: str | None = None) -> list[Any]:
    with FeatureFile(str(path), SourceCrs.of(crs)) as file:
        return list(file.records())


BEHIND = {
    "one line": behind("a", "b"),
    "indented": json.dumps(json.loads(behind("a", "b")), indent=1).encode(),
    "two documents": behind("a") + b"\n" + behind("b"),
    "only of the second": encoded({"crs": named(OGC_URN), **collection(zurich("a"))}) + behind("b"),
}


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("shape", BEHIND)
def test_a_crs_behind_the_features_of_a_file_is_read(tmp_path: Path, shape: str, packed: bool) -> None:
    path = tmp_path / "file"
    path.write_bytes(gzip.compress(BEHIND[shape]) if packed else BEHIND[shape])
    found = [json.loads(record) for record in read(path)]
    assert [one["id"] for one in found] == ["a", "b"]
    assert all(map(is_zurich, found))


def test_the_crs_of_each_document_is_its_own(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(
        encoded(collection(feature("d", 8.5, 47))) + behind("a") + behind("b", crs="EPSG:3857") + encoded([feature("e", 8.5, 47)])
    )
    d, a, b, e = (json.loads(record)["geometry"]["coordinates"] for record in read(path))
    assert d == e == [8.5, 47]
    assert a[:2] == pytest.approx(by_gdal(*LV95), abs=CLOSE)
    assert b[:2] == pytest.approx(by_gdal(*LV95, "EPSG:3857"), abs=CLOSE)


def test_a_crs_behind_the_features_that_is_not_known_is_refused_before_any_is_taken(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(behind("a", crs="EPSG:99999"))
    (error,) = read(path)
    assert error.code == "invalid_crs"
    assert is_zurich(json.loads(read(path, "2056")[0]))


def test_a_property_named_crs_is_none(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(encoded(collection(feature("a", crs={"type": "name"}), feature("b"))))
    assert [json.loads(record)["id"] for record in read(path)] == ["a", "b"]


def piped(data: bytes) -> list[Any]:
    reader, writer = os.pipe()

    def write() -> None:
        with os.fdopen(writer, "wb") as stream:
            stream.write(data)

    thread = threading.Thread(target=write)
    thread.start()
    try:
        return read(f"/dev/fd/{reader}")
    finally:
        os.close(reader)
        thread.join()


@pytest.mark.parametrize("shape", BEHIND)
def test_a_document_from_a_pipe_waits_for_its_crs(shape: str) -> None:
    assert all(is_zurich(json.loads(record)) for record in piped(BEHIND[shape]))


def test_a_crs_behind_more_features_than_a_document_may_have_is_reported(settings: Any) -> None:
    settings.GEOSTREAM_MAX_BODY_BYTES = 1000
    degrees = [feature(f"{number}", 8.5, 47) for number in range(10_000)]
    *records, error = piped(encoded({**collection(*degrees), "crs": named(OGC_URN)}))
    assert len(records) == 10_000
    assert error.code == "invalid_crs"
    assert "--crs" in error.message
    assert len(piped(encoded({**collection(*degrees), "crs": named("CRS84")}))) == 10_000


def test_what_precedes_the_damage_of_a_packed_file_comes_in_its_crs(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(gzip.compress(behind("a"))[:-5])
    record, error = read(path)
    assert is_zurich(json.loads(record))
    assert "damaged" in error.message


def test_a_collection_on_a_line_is_projected() -> None:
    splitter = LineSplitter(10_000)
    records = splitter.feed(SHAPES["collections one a line"] + b"\n")
    assert [is_zurich(stored(record)) for record in records] == [True, True]
