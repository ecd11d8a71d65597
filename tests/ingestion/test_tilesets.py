"""GeoTIFFs and archives of tiles become tilesets."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from channels.db import database_sync_to_async
from PIL import Image

from streaming.models import Tileset
from streaming.tiles.source_kinds import open_source
from streaming.tiles.tilesets import tileset_settings
from tests.tiles.conftest import EUROPE, PNG, mbtiles, plain, pmtiles, write_raster  # noqa: F401 (fixtures)

from .conftest import Drop


@database_sync_to_async
def colour(name: str) -> tuple[int, ...]:
    """Of the middle of Europe."""
    source = open_source(tileset_settings(Tileset.objects.get(name=name)))
    try:
        image = Image.open(io.BytesIO(source.render(0, 0, 0) or b""))
        return image.convert("RGB").getpixel((135, 85))  # type: ignore[return-value]
    finally:
        source.close()


async def test_a_geotiff_becomes_a_tileset(drop: Drop, tmp_path: Path) -> None:
    row = await drop("tiles/relief.tif", write_raster(tmp_path / "red.tif", plain(255, 0, 0)))
    assert (row.status, row.kind, row.tileset, row.crs, row.message) == ("ready", "tileset", "relief", "EPSG:4326", "")
    assert row.bbox == pytest.approx(EUROPE)
    assert await colour("relief") == (255, 0, 0)


async def test_another_version_of_a_geotiff_takes_its_place(drop: Drop, tmp_path: Path) -> None:
    await drop("relief.tif", write_raster(tmp_path / "red.tif", plain(255, 0, 0)))
    before = await Tileset.objects.aget()
    await drop("relief.tif", write_raster(tmp_path / "blue.tif", plain(0, 0, 255)))
    assert await Tileset.objects.aget() == before
    assert await colour("relief") == (0, 0, 255)


async def test_a_damaged_geotiff_leaves_the_last_good_tileset(drop: Drop, tmp_path: Path) -> None:
    image = write_raster(tmp_path / "red.tif", plain(255, 0, 0))
    await drop("relief.tif", image)
    row = await drop("relief.tif", image.read_bytes()[:300])
    assert row.status == "failed"
    assert await colour("relief") == (255, 0, 0)


async def test_a_geotiff_that_is_deleted_takes_its_tileset_along(drop: Drop, tmp_path: Path) -> None:
    await drop("relief.tif", write_raster(tmp_path / "red.tif", plain(255, 0, 0)))
    await drop.delete("relief.tif")
    await drop.settled()
    assert not await Tileset.objects.aexists()
    assert not list((tmp_path / "ingested").iterdir())


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
async def test_a_world_file_that_comes_later_places_the_image(drop: Drop, tmp_path: Path) -> None:
    row = await drop("scan.tif", write_raster(tmp_path / "scan.tif", plain(0, 255, 0), crs=None))
    assert row.status == "failed" and row.message.startswith("the image has no coordinate reference system")
    await drop.put("scan.tfw", b"0.3125\n0\n0\n-0.3125\n0.15625\n59.84375\n")
    await drop.put("scan.prj", rasterio.CRS.from_epsg(4326).to_wkt().encode())
    await drop.settled()
    assert row.status == "ready", row.message
    assert row.bbox == pytest.approx(EUROPE)


@pytest.mark.long_form(only=True)
async def test_a_large_geotiff_without_overviews_is_given_some(drop: Drop, tmp_path: Path) -> None:
    image = tmp_path / "large.tif"
    with rasterio.open(
        image, "w", driver="GTiff", width=6144, height=6144, count=1, dtype="uint8", crs="EPSG:4326", compress="deflate", tiled=True,
        transform=rasterio.transform.from_bounds(*EUROPE, 6144, 6144),
    ) as dataset:  # fmt: skip
        dataset.write(np.full((6144, 6144), 7, np.uint8), 1)
    row = await drop("large.tif", image)
    assert row.status == "ready", row.message
    with rasterio.open(tmp_path / "ingested" / "large" / "large.tif") as dataset:
        assert dataset.overviews(1)


async def test_too_many_pixels_are_refused(drop: Drop, tmp_path: Path, settings: Any) -> None:
    settings.GEOSTREAM_INGEST_MAX_PIXELS = 1000
    row = await drop("relief.tif", write_raster(tmp_path / "red.tif", plain(255, 0, 0)))
    assert row.status == "failed" and "INGEST_MAX_PIXELS" in row.message


@pytest.mark.parametrize("archive", ["mbtiles", "pmtiles"])
async def test_an_archive_of_tiles_becomes_a_tileset(drop: Drop, request: pytest.FixtureRequest, archive: str) -> None:
    write: Callable[..., Path] = request.getfixturevalue(archive)
    row = await drop(f"base.{archive}", write({(0, 0, 0): PNG}))
    assert (row.status, row.tileset, row.message) == ("ready", "base", "")
    assert (await Tileset.objects.aget()).kind == archive


async def test_options_say_how_an_image_looks(drop: Drop, tmp_path: Path) -> None:
    await drop.put("dem.tif.layer.json", b'{"name": "heights", "rescale": "0,100", "colormap": "viridis", "max_zoom": 9}')
    row = await drop("dem.tif", write_raster(tmp_path / "dem.tif", plain(50).astype(np.float32)))
    assert row.status == "ready", row.message
    tileset = await Tileset.objects.aget()
    assert (tileset.name, tileset.rescale, tileset.colormap, tileset.max_zoom) == ("heights", "0,100", "viridis", 9)


async def test_a_tileset_that_somebody_else_has_made_is_left_alone(drop: Drop, tmp_path: Path) -> None:
    there = await Tileset.objects.acreate(name="relief", kind="pushed")
    row = await drop("relief.tif", write_raster(tmp_path / "red.tif", plain(255, 0, 0)))
    assert row.status == "failed" and "already" in row.message
    assert (await Tileset.objects.aget()).kind == there.kind
