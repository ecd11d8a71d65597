"""`layer-snapshot`, tilesets as inputs, and `publish_to`: what the user of a job may read and write decides."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.contrib.auth.models import Permission, User

from processes.worker import BadInput, Job, JobFailed
from streaming.features.layers import catalogue
from streaming.features.publishing import publish
from streaming.models import Layer, Tileset
from streaming.tiles.imagery import clear_imagery_sync, imagery_sync, paint_sync
from streaming.tiles.imagery_files import painted_files
from streaming.tiles.tilesets import tilesets
from tests.commands.conftest import held
from tests.geo_peer import point

from .conftest import Call, collection
from .rasters import geotiff, pixels
from .test_rasters import UTM, plane

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("redis")]


@pytest.fixture(autouse=True)
def data_folder(settings: Any, tmp_path: Path) -> Iterator[Path]:
    settings.GEOSTREAM_DATA_DIR = tmp_path
    tilesets.clear()
    yield tmp_path
    tilesets.clear()


class Log:
    """The log of a job."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, str]] = []

    def progress(self, percent: int, message: str | None) -> None: ...
    def partial(self, output: str, value: Any) -> None: ...
    def checkpoint(self, data: Any) -> None: ...
    def log(self, level: str, text: str) -> None:
        self.lines.append((level, text))


def job_of(user: User | None, log: Log | None = None) -> Job:
    return Job("j", user=None if user is None else str(user.pk), reports=log)  # type: ignore[arg-type]


def user(*permissions: str) -> User:
    made = User.objects.create_user("alice")
    made.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    return made


# -- layer-snapshot ---------------------------------------------------------


def test_the_features_of_a_layer_by_place_and_filter(call: Call) -> None:
    publish("l", [point(n, n, 0, n=n) for n in range(10)])
    assert [each["id"] for each in call("layer-snapshot", layer="l")["features"]] == list(range(10))
    assert [each["id"] for each in call("layer-snapshot", layer="l", bbox={"bbox": [2, -1, 4, 1]})["features"]] == [2, 3, 4]
    assert [each["id"] for each in call("layer-snapshot", layer="l", filter="n > 7")["features"]] == [8, 9]
    cql = {"op": "<", "args": [{"property": "n"}, 1]}
    assert [each["id"] for each in call("layer-snapshot", layer="l", filter=cql)["features"]] == [0]
    assert call("layer-snapshot", layer="l", datetime="../2001-01-01T00:00:00Z")["features"] == []


@pytest.mark.parametrize(
    ("inputs", "name"),
    [
        ({"layer": "unknown"}, "layer"),
        ({"filter": "n >"}, "filter"),
        ({"datetime": "yesterday"}, "datetime"),
        ({"bbox": {"bbox": [0, 5, 1, 1]}}, "bbox"),
        ({"bbox": {"bbox": [0, 0, 1, 1], "crs": "http://www.opengis.net/def/crs/EPSG/0/2056"}}, "bbox"),
    ],
)
def test_bad_conditions_are_named(call: Call, inputs: dict[str, Any], name: str) -> None:
    publish("l", [point(1, 0, 0)])
    with pytest.raises(BadInput) as error:
        call("layer-snapshot", **{"layer": "l", **inputs})
    assert error.value.input == name


def test_a_private_layer_is_as_none_for_those_who_may_not_read_it(call: Call) -> None:
    Layer.objects.create(name="secret", public=False)
    publish("secret", [point(1, 0, 0)])
    for nobody in (None, user()):
        with pytest.raises(BadInput, match="no layer 'secret'"):
            call("layer-snapshot", job_of(nobody), layer="secret")
    admin = User.objects.create_superuser("admin")
    assert len(call("layer-snapshot", job_of(admin), layer="secret")["features"]) == 1
    User.objects.update(is_active=False)
    with pytest.raises(JobFailed, match="not active"):
        call("layer-snapshot", job_of(admin), layer="secret")


# -- publish_to -------------------------------------------------------------


def test_a_result_is_put_into_a_layer_that_is_made(call: Call) -> None:
    log = Log()
    alice = job_of(user("add_layer", "change_layer"), log)
    made = call("buffer", alice, features=collection(point("a", 7, 46)), distance=1000, publish_to="areas")
    assert held("areas")["a"]["geometry"] == made["features"][0]["geometry"]
    assert log.lines == [("info", "layer areas: 1 added")]


def test_features_without_an_id_get_the_same_one_in_every_attempt(call: Call, settings: Any) -> None:
    settings.GEOSTREAM_PROCESS_OPEN_NAMES = "result*"
    for _ in range(2):
        call("buffer", features={"type": "Point", "coordinates": [7, 46]}, distance=1000, publish_to="results")
    assert list(held("results")) == ["job-1"]


def test_who_may_not_publish_is_refused_before_the_work(call: Call) -> None:
    changer = user("change_layer")
    Layer.objects.create(name="there")
    for who, layer, lacking in ((None, "new", "change_layer"), (changer, "new", "add_layer")):
        with pytest.raises(JobFailed, match=lacking) as error:
            call("buffer", job_of(who), features={"type": "not even looked at"}, distance=1000, publish_to=layer)
        assert error.value.status == 403
    call("buffer", job_of(changer), features=point(1, 0, 0), distance=1000, publish_to="there")
    assert 1 in held("there")


def test_a_refusal_names_what_everybody_may_write(call: Call, settings: Any) -> None:
    settings.GEOSTREAM_PROCESS_OPEN_NAMES = "demo-*, lab"
    with pytest.raises(JobFailed, match=r"jobs of everybody may publish to demo-\*, lab"):
        call("buffer", job_of(None), features=point(1, 0, 0), distance=1, publish_to="mine")


def test_a_name_that_no_layer_can_have(call: Call) -> None:
    with pytest.raises(BadInput) as error:
        call("buffer", job_of(User.objects.create_superuser("admin")), features=point(1, 0, 0), distance=1, publish_to="../x")
    assert error.value.input == "publish_to"


def test_refused_features_are_in_the_log_and_none_at_all_is_a_failure(call: Call, settings: Any) -> None:
    settings.GEOSTREAM_PROCESS_OPEN_NAMES = "small"
    Layer.objects.create(name="small", max_features=1)
    catalogue.clear()
    log = Log()
    call("buffer", job_of(None, log), features=collection(point(1, 0, 0), point(2, 0, 0)), distance=1, publish_to="small")
    assert [level for level, _ in log.lines] == ["warning", "info"]
    with pytest.raises(JobFailed, match="as many features as it may"):
        call("buffer", job_of(None), features=point(3, 0, 0), distance=1, publish_to="small")


def test_a_reprojected_result_is_in_degrees_in_its_layer(call: Call, settings: Any) -> None:
    settings.GEOSTREAM_PROCESS_OPEN_NAMES = "*"
    call("reproject", features=point("p", 7, 46), to_crs="EPSG:2056", publish_to="l")
    assert held("l")["p"]["geometry"]["coordinates"] == pytest.approx([7, 46], abs=1e-6)


# -- tilesets ---------------------------------------------------------------


def test_a_relief_becomes_a_tileset_and_is_painted_over_one(call: Call) -> None:
    admin = job_of(User.objects.create_superuser("admin"))
    image = call("hillshade", admin, raster=plane(20, 90), publish_to="relief")
    made = Tileset.objects.get(name="relief")
    assert made.kind == "raster" and made.public and Path(made.source).read_bytes() == image
    call("hillshade", admin, raster=plane(20, 180), publish_to="relief")
    assert [each.image for each in imagery_sync(tilesets.get_sync("relief"))] == ["j"]


def test_who_may_not_paint_is_refused(call: Call) -> None:
    with pytest.raises(JobFailed, match="add_tileset"):
        call("hillshade", job_of(user("change_tileset")), raster=b"not even looked at", publish_to="relief")
    Tileset.objects.create(name="pushed", kind="pushed")
    with pytest.raises(BadInput, match="of the kind pushed"):
        call("hillshade", job_of(User.objects.create_superuser("admin")), raster=b"", publish_to="pushed")


def raster_tileset(folder: Path, name: str, *contents: bytes, **fields: Any) -> Tileset:
    paths = [folder / f"{name}-{number}.tif" for number in range(len(contents))]
    for path, content in zip(paths, contents, strict=True):
        path.write_bytes(content)
    return Tileset.objects.create(name=name, kind="raster", source="\n".join(map(str, paths)), **fields)


def test_a_tileset_is_an_input(call: Call, data_folder: Path) -> None:
    raster_tileset(data_folder, "heights", plane(20, 90))
    assert (pixels(call("hillshade", tileset="heights")) == pixels(call("hillshade", raster=plane(20, 90)))).all()
    raster_tileset(data_folder, "secret", plane(20, 90), public=False)
    for name, reason in (("secret", "no tileset 'secret'"), ("unknown", "no tileset 'unknown'")):
        with pytest.raises(BadInput, match=reason):
            call("hillshade", job_of(None), tileset=name)


def test_a_mosaic_has_what_is_painted_on_top(call: Call, data_folder: Path) -> None:
    """Two files side by side, and an image over half of the second one."""
    left, right = np.full((40, 60), 10, dtype="uint8"), np.full((40, 60), 20, dtype="uint8")
    row = raster_tileset(
        data_folder, "mosaic", geotiff(left, size=10.0, **UTM), geotiff(right, size=10.0, left=500_600.0, top=5_200_000.0)
    )  # fmt: skip
    tilesets.clear()
    paint_sync(tilesets.get_sync(row.name), geotiff(np.full((40, 30), 30, dtype="uint8"), size=10.0, left=500_900.0, top=5_200_000.0))
    zones = {"type": "Polygon", "coordinates": [[[8, 46], [10, 46], [10, 48], [8, 48], [8, 46]]]}
    (found,) = call("zonal-statistics", zones=zones, tileset="mosaic", statistics=["count", "sum", "variety"])["features"]
    assert found["properties"] == {"count": 4800, "sum": 40 * (60 * 10 + 30 * 20 + 30 * 30), "variety": 3}


def test_an_image_that_is_taken_away_while_the_files_are_looked_for(call: Call, data_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    raster_tileset(data_folder, "heights", plane(20, 90))
    tilesets.clear()
    paint_sync(tilesets.get_sync("heights"), plane(20, 180))

    def found(folder: Path) -> Any:
        images = list(painted_files(folder))
        clear_imagery_sync(tilesets.get_sync("heights"))
        return images

    monkeypatch.setattr("processes.builtin.raster.painted_files", found)
    assert (pixels(call("hillshade", tileset="heights")) == pixels(call("hillshade", raster=plane(20, 90)))).all()


def test_a_tileset_that_is_no_raster(call: Call) -> None:
    Tileset.objects.create(name="pushed", kind="pushed")
    with pytest.raises(BadInput, match="kind raster") as error:
        call("contour", tileset="pushed", interval=1)
    assert error.value.input == "tileset"
