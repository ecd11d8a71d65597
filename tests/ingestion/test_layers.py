"""Files of features become layers, and what is different in a file becomes different in its layer."""

from __future__ import annotations

import gzip
import io
import json
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyogrio
import pytest
import shapely
from channels.db import database_sync_to_async

from streaming.core.feed import Feed
from streaming.core.items import Change
from streaming.features.publishing import apublish
from streaming.ingestion.ingest_queue import GATHER_SECONDS
from streaming.models import Layer

from .conftest import Drop, collection, point

Features = Callable[[str], Any]


def dataset(folder: Path, name: str, driver: str, count: int = 2) -> Path:
    """Points of a city grid in UTM 32, as a program of surveyors writes them."""
    path = folder / name
    places = shapely.to_wkb(shapely.points([(500_000 + 100 * number, 5_200_000) for number in range(count)]))
    names = np.array([f"tree {number}" for number in range(count)], dtype=object)
    pyogrio.raw.write(
        path, places, [names, np.arange(count) / 2], ["name", "height"], crs="EPSG:25832", geometry_type="Point", driver=driver
    )
    return path


async def test_a_geojson_file_becomes_a_layer(drop: Drop, features: Features) -> None:
    row = await drop("roads.geojson", collection(point(1), point("b", 9.0)))
    assert (row.status, row.layer, row.features, row.bbox, row.message) == ("ready", "roads", 2, [8.0, 47.0, 9.0, 47.0], "")
    assert sorted(await features("roads")) == ['"b"', "1"]


async def test_only_what_is_different_in_a_file_is_published(drop: Drop, features: Features) -> None:
    await drop("roads.geojson", collection(point(1), point(2), point(3)))
    before = await database_sync_to_async(Feed("layer:roads").read_sync)()
    await drop("roads.geojson", collection(point(1), point(2, 8.5), point(4)))
    after = await database_sync_to_async(Feed("layer:roads").read_sync)()
    assert sorted(await features("roads")) == ["1", "2", "4"]
    assert after.cursor.seq - before.cursor.seq == 3  # 2 has moved, 3 is gone, 4 is new


async def test_features_without_ids_keep_their_place_while_they_are_unchanged(drop: Drop, features: Features) -> None:
    await drop("roads.geojson", collection(point(None, name="a"), point(None, name="b")))
    before = set(await features("roads"))
    assert len(before) == 2, drop.ingestor.records.rows["roads.geojson"].message
    await drop("roads.geojson", collection(point(None, name="a"), point(None, name="c")))
    assert len(before & set(await features("roads"))) == 1


async def test_a_broken_file_leaves_the_last_good_layer(drop: Drop, features: Features) -> None:
    await drop("roads.geojson", collection(point(1)))
    row = await drop("roads.geojson", collection(point(1), point(2))[:-20])
    assert row.status == "failed" and "feature 2" in row.message
    assert sorted(await features("roads")) == ["1"]
    assert (await drop("roads.geojson", collection(point(3)))).status == "ready"


async def test_a_file_that_is_deleted_takes_its_layer_along(drop: Drop) -> None:
    await drop("roads.geojson", collection(point(1)))
    await drop.delete("roads.geojson")
    await drop.settled()
    assert not await Layer.objects.filter(name="roads").aexists()
    assert not drop.ingestor.records.rows


async def test_a_layer_that_somebody_else_has_made_is_left_alone(drop: Drop, features: Features) -> None:
    await apublish("roads", point("mine"))
    row = await drop("roads.geojson", collection(point(1)))
    assert row.status == "failed" and "already" in row.message
    await drop.delete("roads.geojson")
    await drop.settled()
    assert sorted(await features("roads")) == ['"mine"']


async def test_the_next_file_of_a_name_has_its_turn_when_the_first_is_gone(drop: Drop, features: Features) -> None:
    await drop("roads.geojson", collection(point(1)))
    assert (await drop("roads.csv", b"id,lon,lat\n2,8,47\n")).status == "failed"
    await drop.delete("roads.geojson")
    await drop.settled()
    assert sorted(await features("roads")) == ["2"]


async def test_a_file_that_is_moved_within_its_name_keeps_its_layer(drop: Drop) -> None:
    await drop("roads.geojson", collection(point(1)))
    before = await Layer.objects.aget(name="roads")
    await drop.folder.move("roads.geojson", "layers/roads.geojson", drop_actor())
    await drop.settled()
    assert await Layer.objects.aget(name="roads") == before
    assert list(drop.ingestor.records.rows) == ["layers/roads.geojson"]


async def test_it_keeps_it_also_if_the_two_halves_of_the_move_are_heard_of_apart(drop: Drop, monkeypatch: pytest.MonkeyPatch) -> None:
    await drop("roads.geojson", collection(point(1)))
    before = await Layer.objects.aget(name="roads")
    note = drop.ingestor._note

    def note_slowly(change: Change) -> None:
        note(change)
        time.sleep(2 * GATHER_SECONDS)

    monkeypatch.setattr(drop.ingestor, "_note", note_slowly)
    await drop.folder.move("roads.geojson", "layers/roads.geojson", drop_actor())
    await drop.settled()
    assert await Layer.objects.aget(name="roads") == before
    assert list(drop.ingestor.records.rows) == ["layers/roads.geojson"]


async def test_a_file_that_gets_another_name_makes_another_layer(drop: Drop, features: Features) -> None:
    await drop("roads.geojson", collection(point(1)))
    await drop.folder.move("roads.geojson", "maps/streets.geojson", drop_actor())
    await drop.settled()
    assert [layer.name async for layer in Layer.objects.all()] == ["maps.streets"]
    assert sorted(await features("maps.streets")) == ["1"]


def drop_actor() -> Any:
    from streaming.files.changes import OUTSIDE

    return OUTSIDE


async def test_lines_and_gzip_are_read(drop: Drop, features: Features) -> None:
    lines = b"\n".join(json.dumps(point(number)).encode() for number in range(3))
    assert (await drop("a.geojsonl", lines)).features == 3
    assert (await drop("b.geojson.gz", gzip.compress(lines))).features == 3


@pytest.mark.parametrize(("name", "driver"), [("trees.fgb", "FlatGeobuf"), ("trees.gpkg", "GPKG")])
async def test_a_file_of_a_surveyor_becomes_a_layer_in_degrees(
    drop: Drop, features: Features, tmp_path: Path, name: str, driver: str
) -> None:
    row = await drop(name, dataset(tmp_path, name, driver))
    assert (row.status, row.message, row.features, row.crs) == ("ready", "", 2, "EPSG:25832")
    first = min((await features("trees")).values(), key=lambda each: each["properties"]["height"])
    assert first["properties"] == {"name": "tree 0", "height": 0.0}
    assert first["geometry"]["coordinates"] == pytest.approx([9.0, 46.95], abs=0.01)


async def test_a_shapefile_waits_until_it_is_complete(drop: Drop, tmp_path: Path, features: Features) -> None:
    shapefile = dataset(tmp_path, "trees.shp", "ESRI Shapefile")
    row = await drop("trees.shp", shapefile)
    assert (row.status, row.message) == ("queued", "waits for its .shx and .dbf")
    for ending in (".dbf", ".prj", ".cpg", ".shx"):
        await drop.put(f"trees{ending}", shapefile.with_suffix(ending))
    await drop.settled()
    assert (row.status, row.features, row.crs) == ("ready", 2, "EPSG:25832")
    await drop.delete("trees.shx")
    await drop.settled()
    assert len(await features("trees")) == 2  # the last good state stays


async def test_a_zipped_shapefile_is_unpacked(drop: Drop, tmp_path: Path) -> None:
    shapefile = dataset(tmp_path, "trees.shp", "ESRI Shapefile")
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        for ending in (".shp", ".shx", ".dbf", ".prj"):
            file.write(shapefile.with_suffix(ending), f"Export 2024/Bäume{ending}")
    assert (await drop("trees.zip", archive.getvalue())).features == 2


async def test_rows_of_a_csv_become_points(drop: Drop, features: Features) -> None:
    row = await drop("stations.csv", "id;Longitude;Latitude;name;t\n7;8.5;47.25;Zürich;-3.5\n8;8.6;47.3;;007\n".encode())
    assert (row.status, row.features) == ("ready", 2)
    stored = await features("stations")
    assert stored["7"]["geometry"]["coordinates"] == [8.5, 47.25]
    assert stored["7"]["properties"] == {"id": 7, "name": "Zürich", "t": -3.5}
    assert stored["8"]["properties"] == {"id": 8, "name": None, "t": "007"}


async def test_a_csv_without_coordinates_is_ignored(drop: Drop) -> None:
    row = await drop("prices.csv", b"name,price\na,1\n")
    assert (row.status, row.layer) == ("ignored", "")
    assert not await Layer.objects.aexists()


async def test_options_beside_a_file_say_how_it_is_read(drop: Drop, features: Features) -> None:
    options = {"name": "wells", "title": "Wells of the canton", "id": "nr", "crs": "EPSG:2056", "longitude": "e", "latitude": "n"}
    await drop.put("raw/x.csv.layer.json", json.dumps(options).encode())
    row = await drop("raw/x.csv", b"nr,e,n\n12,2600000,1200000\n")
    assert (row.status, row.layer, row.message) == ("ready", "wells", "")
    assert (await features("wells"))["12"]["geometry"]["coordinates"] == pytest.approx([7.4386, 46.9511], abs=1e-3)
    await drop.put("raw/x.csv.layer.json", json.dumps(options | {"name": "springs"}).encode())
    await drop.settled()
    assert [layer.name async for layer in Layer.objects.all()] == ["springs"]


async def test_a_misspelt_option_is_refused(drop: Drop) -> None:
    await drop.put("a.geojson.layer.json", b'{"tittle": "x"}')
    row = await drop("a.geojson", collection(point(1)))
    assert row.status == "failed" and "tittle" in row.message


async def test_a_geopackage_with_several_tables_asks_for_one(drop: Drop, tmp_path: Path) -> None:
    path = dataset(tmp_path, "city.gpkg", "GPKG")
    pyogrio.raw.write(
        path, shapely.to_wkb(shapely.points([(1, 2)])), [], [], crs="EPSG:4326", geometry_type="Point", layer="wells", append=True
    )
    row = await drop("city.gpkg", path)
    assert row.status == "failed" and "city, wells" in row.message
    await drop.put("city.gpkg.layer.json", b'{"table": "wells"}')
    await drop.settled()
    assert (row.status, row.features) == ("ready", 1)


async def test_a_layer_is_read_by_those_who_may_read_the_file(drop: Drop, settings: Any) -> None:
    await drop("open.geojson", collection(point(1)))
    settings.GEOSTREAM_FILES_ANONYMOUS = "*=list"
    await drop("closed.geojson", collection(point(1)))
    rows = [(layer.name, layer.public, layer.permission) async for layer in Layer.objects.order_by("-name")]
    assert rows == [("open", True, ""), ("closed", False, "streaming.read_files")]
