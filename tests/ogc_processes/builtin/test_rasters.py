"""`zonal-statistics`, `hillshade` and `contour`, against surfaces that are known and against GDAL's programs where they are installed."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import shapely
from pyproj import Geod, Transformer

from processes.worker import BadInput
from tests.processes import run

from .conftest import Call, collection, feature
from .rasters import geotiff, pixels

UTM = {"left": 500_000.0, "top": 5_200_000.0}
TO_DEGREES = Transformer.from_crs("EPSG:32632", "OGC:CRS84", always_xy=True)
GEOD = Geod(ellps="WGS84")


def in_degrees(shape: Any) -> Any:
    """A shape of UTM zone 32."""
    dense = shapely.segmentize(shape, 20.0)
    return shapely.transform(dense, lambda places: np.column_stack(TO_DEGREES.transform(places[:, 0], places[:, 1])))


def geojson(shape: Any) -> Any:
    return json.loads(shapely.to_geojson(shape))


def known(width: int = 60, height: int = 40) -> Any:
    return np.random.default_rng(3).normal(100, 30, (height, width)).round(1)


# -- zonal-statistics -------------------------------------------------------


def expected(values: Any, zone: Any, size: float = 10.0, valid: Any = None) -> Any:
    """The values of pixels whose centres are in a zone of UTM, looked at one by one."""
    rows, columns = np.indices(values.shape)
    x, y = UTM["left"] + (columns + 0.5) * size, UTM["top"] - (rows + 0.5) * size
    inside = shapely.contains_xy(zone, x, y)
    return values[inside if valid is None else inside & valid]


def test_statistics_are_those_of_the_pixels_in_the_zone(call: Call) -> None:
    values = known()
    zones = [shapely.Point(500_300, 5_199_800).buffer(123), shapely.box(500_013, 5_199_613, 500_222, 5_199_999)]
    statistics = ["count", "min", "max", "mean", "sum", "std", "median", "majority", "variety"]
    made = call(
        "zonal-statistics",
        zones=collection(*(feature(geojson(in_degrees(zone)), number, name="a") for number, zone in enumerate(zones))),
        raster=geotiff(values, size=10.0, **UTM),
        statistics=statistics,
        prefix="v_",
    )
    for zone, found in zip(zones, made["features"], strict=True):
        inside = expected(values, zone)
        assert found["properties"].pop("name") == "a"
        assert found["properties"]["v_count"] == len(inside) > 100
        for name in ("min", "max", "mean", "sum", "std", "median"):
            assert found["properties"][f"v_{name}"] == pytest.approx(getattr(np, name)(inside)), name
        unique, counts = np.unique(inside, return_counts=True)
        assert found["properties"]["v_variety"] == len(unique)
        assert counts[list(unique).index(found["properties"]["v_majority"])] == counts.max()


def test_pixels_without_a_value_do_not_count(call: Call) -> None:
    values = known()
    valid = values > 80
    content = geotiff(np.where(valid, values, -9999), size=10.0, nodata=-9999, **UTM)
    zone = shapely.box(500_100, 5_199_700, 500_400, 5_199_900)
    (found,) = call("zonal-statistics", zones=geojson(in_degrees(zone)), raster=content)["features"]
    inside = expected(values, zone, valid=valid)
    assert found["properties"] == pytest.approx(
        {"count": len(inside), "min": inside.min(), "max": inside.max(), "mean": inside.mean()}
    )  # fmt: skip


def test_a_zone_without_pixels(call: Call) -> None:
    zones = collection(feature({"type": "Point", "coordinates": [0, 0]}), feature(None))
    made = call("zonal-statistics", zones=zones, raster=geotiff(known(), size=10.0, **UTM), statistics=["count", "mean"])
    assert [each["properties"] for each in made["features"]] == [{"count": 0, "mean": None}] * 2


def test_all_touched_and_another_band(call: Call) -> None:
    content = geotiff(np.stack([known(), np.full((40, 60), 7.0)]), size=10.0, **UTM)
    tiny = geojson(in_degrees(shapely.Point(500_301, 5_199_801).buffer(1)))
    counts = [
        call("zonal-statistics", zones=tiny, raster=content, band=2, all_touched=each)["features"][0]["properties"]
        for each in (False, True)
    ]
    assert [each["count"] for each in counts] == [0, 1] and counts[1]["mean"] == 7.0


def test_a_raster_that_is_not_north_up(call: Call) -> None:
    """A grid that is turned by 30 degrees."""
    from affine import Affine

    transform = Affine.translation(500_000, 5_200_000) * Affine.rotation(30) * Affine.scale(10, -10)
    content = geotiff(np.full((40, 60), 5.0), transform=transform, nodata=-1)
    centre = transform * (30, 20)
    zone = shapely.Point(centre).buffer(100)
    (found,) = call("zonal-statistics", zones=geojson(in_degrees(zone)), raster=content)["features"]
    assert found["properties"]["mean"] == 5.0
    assert found["properties"]["count"] == pytest.approx(np.pi * 100**2 / 100, rel=0.1)


@pytest.mark.parametrize(
    ("inputs", "name", "reason"),
    [
        ({"raster": b"nonsense"}, "raster", "."),
        ({}, "raster", "either"),
        ({"raster": geotiff(known(), size=10.0, **UTM), "band": 2}, "band", "1 bands"),
        ({"raster": geotiff(known(), size=10.0, crs=None)}, "raster", "reference system"),
        ({"raster": geotiff(known(), size=10.0, **UTM), "statistics": ["nonsense"]}, "statistics", "."),
    ],
)
def test_bad_rasters_are_named(call: Call, inputs: dict[str, Any], name: str, reason: str) -> None:
    with pytest.raises(BadInput, match=reason) as error:
        call("zonal-statistics", zones={"type": "Point", "coordinates": [9, 47]}, **inputs)
    assert error.value.input == name


def test_pixels_are_bounded(call: Call, settings: Any) -> None:
    settings.GEOSTREAM_PROCESS_PIXELS = 100
    with pytest.raises(BadInput, match="60 x 40 pixels are more than the 100"):
        call("hillshade", raster=geotiff(known(), size=10.0, **UTM))


# -- hillshade --------------------------------------------------------------


def plane(slope: float, aspect: float, crs: str = "EPSG:32632", **place: Any) -> bytes:
    """A plane that falls by `slope` degrees towards `aspect`."""
    rows, columns = np.indices((20, 30))
    east, north = columns * 10.0, -rows * 10.0
    direction = np.radians(aspect)
    heights = 5000 - np.tan(np.radians(slope)) * (east * np.sin(direction) + north * np.cos(direction))
    return geotiff(heights, size=10.0, crs=crs, **(place or UTM))


@pytest.mark.parametrize("slope", [0, 10, 45, 70])
@pytest.mark.parametrize("aspect", [0, 90, 200, 315])
@pytest.mark.parametrize(("azimuth", "altitude"), [(315, 45), (90, 20), (10, 90)])
def test_a_plane_is_as_light_as_its_angle_to_the_sun(call: Call, slope: float, aspect: float, azimuth: float, altitude: float) -> None:
    shades = pixels(call("hillshade", raster=plane(slope, aspect), azimuth=azimuth, altitude=altitude))[0]
    zenith = np.radians(90 - altitude)
    cosine = np.cos(zenith) * np.cos(np.radians(slope)) + np.sin(zenith) * np.sin(np.radians(slope)) * np.cos(np.radians(azimuth - aspect))
    assert np.abs(shades.astype(int) - (1 + 254 * max(0.0, cosine))).max() <= 1  # at the edges too


def test_degrees_are_metres_where_they_are(call: Call) -> None:
    """At 60 degrees north a degree of longitude is half as long."""
    rows, columns = np.indices((20, 20))
    for slope_to_east in (True, False):
        heights = (columns if slope_to_east else -rows) * 55.66
        content = geotiff(heights, left=8.0, top=60.01, size=0.001, crs="EPSG:4326")
        shades = pixels(call("hillshade", raster=content, azimuth=270 if slope_to_east else 180, altitude=45))[0]
        angle = np.arctan(1 / 1.0 if slope_to_east else 0.5)  # 55.66 m in 55.8 m, and in 111.4 m
        assert shades[10, 10] == pytest.approx(1 + 254 * np.cos(np.pi / 4 - angle), abs=2)


def test_where_there_is_no_height_there_is_no_shade(call: Call) -> None:
    heights = known()
    heights[5:8, 5:8] = -1
    shades = pixels(call("hillshade", raster=geotiff(heights, size=10.0, nodata=-1, **UTM)))[0]
    assert (shades[5:8, 5:8] == 0).all() and (np.delete(shades, range(5, 8), axis=0) > 0).all()


def smooth(width: int = 120, height: int = 90) -> Any:
    rows, columns = np.indices((height, width))
    return 500 + 200 * np.sin(columns / 11) * np.cos(rows / 17) + 3 * rows


@pytest.mark.skipif(shutil.which("gdaldem") is None, reason="needs gdaldem (gdal-bin)")
def test_it_is_the_relief_of_gdaldem(call: Call, tmp_path: Path) -> None:
    content = geotiff(smooth(), size=30.0, **UTM)
    (tmp_path / "heights.tif").write_bytes(content)
    run("gdaldem", "hillshade", "-compute_edges", tmp_path / "heights.tif", tmp_path / "shades.tif")
    theirs = pixels((tmp_path / "shades.tif").read_bytes())[0].astype(int)
    ours = pixels(call("hillshade", raster=content))[0].astype(int)
    assert np.abs(ours - theirs)[1:-1, 1:-1].max() <= 1


# -- contour ----------------------------------------------------------------


def cone() -> bytes:
    """A cone with its top at 1,000 m in the middle of 2 km, which falls 1 m in a metre."""
    rows, columns = np.indices((201, 201))
    return geotiff(1000 - np.hypot(columns - 100, rows - 100) * 10, size=10.0, left=500_000.0 - 1005, top=5_200_000.0 + 1005)


def test_a_cone_has_circles(call: Call) -> None:
    made = call("contour", raster=cone(), interval=100)
    levels = [each["properties"]["level"] for each in made["features"]]
    assert {100.0, 500.0, 900.0} <= set(levels)
    for level in (300.0, 600.0, 900.0):
        (circle,) = (each["geometry"] for each in made["features"] if each["properties"]["level"] == level)
        to_utm = Transformer.from_crs("OGC:CRS84", "EPSG:32632", always_xy=True)
        x, y = to_utm.transform(*np.asarray(circle["coordinates"]).T)
        assert np.hypot(x - 500_000, y - 5_200_000) == pytest.approx(1000 - level, rel=0.02)
        assert circle["coordinates"][0] == circle["coordinates"][-1]


def test_levels_and_a_base(call: Call) -> None:
    assert {each["properties"]["level"] for each in call("contour", raster=cone(), levels=[150, 725])["features"]} == {150.0, 725.0}
    levels = {each["properties"]["level"] for each in call("contour", raster=cone(), interval=250, base=30)["features"]}
    assert levels >= {30.0, 280.0, 530.0, 780.0}
    assert call("contour", raster=cone(), levels=[5000])["features"] == []


def test_an_area_is_cut_out(call: Call) -> None:
    longitude, latitude = TO_DEGREES.transform(500_000, 5_200_000)
    area = {"bbox": [longitude, latitude, longitude + 0.005, latitude + 0.005]}
    lines = [
        shapely.from_geojson(json.dumps(each["geometry"])) for each in call("contour", raster=cone(), interval=100, area=area)["features"]
    ]
    assert lines and shapely.box(*shapely.total_bounds(lines)).within(shapely.box(*area["bbox"]).buffer(0.0003))
    with pytest.raises(BadInput, match="nothing there"):
        call("contour", raster=cone(), interval=100, area={"bbox": [50, 0, 51, 1]})


def hills() -> Any:
    rows, columns = np.indices((90, 120))
    return sum(
        height * np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / 150) for x, y, height in ((40, 40, 700), (70, 50, 300), (60, 30, 500))
    )


@pytest.mark.skipif(shutil.which("gdal_contour") is None, reason="needs gdal_contour (gdal-bin)")
def test_lines_are_as_long_as_those_of_gdal_contour(call: Call, tmp_path: Path) -> None:
    content = geotiff(hills(), size=30.0, **UTM)  # no line ends at the edge, where gdal_contour goes on for half a pixel
    (tmp_path / "heights.tif").write_bytes(content)
    run("gdal_contour", "-i", "50", "-off", "1", "-a", "level", "-f", "GeoJSON", tmp_path / "heights.tif", tmp_path / "lines.json")
    theirs = json.loads((tmp_path / "lines.json").read_text())["features"]
    ours = call("contour", raster=content, interval=50, base=1)["features"]

    def lengths(features: Any, transform: Any) -> dict[float, float]:
        found: dict[float, float] = {}
        for each in features:
            shape = shapely.from_geojson(json.dumps(each["geometry"]))
            found[each["properties"]["level"]] = found.get(each["properties"]["level"], 0.0) + transform(shape)
        return found

    assert lengths(ours, GEOD.geometry_length) == pytest.approx(lengths(theirs, lambda shape: shape.length), rel=0.02)


@pytest.mark.parametrize("inputs", [{}, {"interval": 1, "levels": [1]}, {"interval": 0.5}])
def test_bad_intervals_are_named(call: Call, inputs: dict[str, Any]) -> None:
    with pytest.raises(BadInput) as error:
        call("contour", raster=cone(), **inputs)
    assert error.value.input == "interval"


def test_lines_are_bounded(call: Call, settings: Any) -> None:
    settings.GEOSTREAM_PROCESS_POSITIONS = 50
    with pytest.raises(BadInput, match="too many lines"):
        call("contour", raster=cone(), interval=100)


def test_a_geotiff_that_refers_to_another_file_is_refused(call: Call, tmp_path: Path) -> None:
    source = f"<SimpleSource><SourceFilename>{tmp_path}</SourceFilename></SimpleSource>"
    band = f'<VRTRasterBand dataType="Byte" band="1">{source}</VRTRasterBand>'
    vrt = f'<VRTDataset rasterXSize="1" rasterYSize="1">{band}</VRTDataset>'
    with pytest.raises(BadInput):
        call("hillshade", raster=vrt.encode())
