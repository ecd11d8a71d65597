"""Files that would lead the server somewhere else, or take too much of it, become nothing."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import pytest

from streaming.ingestion.errors import IngestError
from streaming.ingestion.worker.tasks import DRIVERS, ReadFeatures
from streaming.ingestion.worker_process import WorkerProcesses
from streaming.models import Layer

from .conftest import Drop, collection, point

VRT = b"""<OGRVRTDataSource><OGRVRTLayer name="x"><SrcDataSource>/vsicurl/http://127.0.0.1:1/x.geojson</SrcDataSource></OGRVRTLayer>
</OGRVRTDataSource>"""
RASTER_VRT = b"""<VRTDataset rasterXSize="1" rasterYSize="1"><VRTRasterBand dataType="Byte" band="1"><SimpleSource>
<SourceFilename>/etc/passwd</SourceFilename></SimpleSource></VRTRasterBand></VRTDataset>"""
ENTITIES = b"""<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><kml xmlns="http://www.opengis.net/kml/2.2">&a;</kml>"""


@pytest.mark.parametrize("name", ["x.shp", "x.fgb", "x.gpkg", "x.geojson", "x.tif", "x.zip", "x.mbtiles", "x.pmtiles"])
@pytest.mark.parametrize(
    "content", [VRT, RASTER_VRT, ENTITIES, b"/vsicurl/http://127.0.0.1:1/x"], ids=["vrt", "raster-vrt", "entities", "vsicurl"]
)
async def test_what_refers_to_something_else_is_not_what_its_name_says(drop: Drop, name: str, content: bytes) -> None:
    for ending in (".shx", ".dbf") if name == "x.shp" else ():
        await drop.put(f"x{ending}", content)
    row = await drop(name, content)
    assert row.status == "failed"
    assert not await Layer.objects.aexists()


def read(folder: Path, name: str) -> Any:
    return WorkerProcesses().run(ReadFeatures(name, "out", 10), folder)


def test_a_worker_has_no_driver_that_follows_references(tmp_path: Path) -> None:
    (tmp_path / "source.fgb").write_bytes(VRT)
    with pytest.raises(IngestError, match="cannot be read"):
        read(tmp_path, "source.fgb")
    with pytest.raises(IngestError, match="cannot be read"):
        read(tmp_path, "/vsicurl/http://127.0.0.1:1/source.fgb")
    assert "VRT" not in DRIVERS


def test_a_worker_ends_with_its_memory(tmp_path: Path, settings: Any) -> None:
    settings.GEOSTREAM_INGEST_MEMORY_BYTES = 1 << 28
    (tmp_path / "source.fgb").write_bytes(b"fgb\x03fgb\x01" + b"\xff" * 100)
    with pytest.raises(IngestError):
        read(tmp_path, "source.fgb")


def archive(**members: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as made:
        for name, content in members.items():
            made.writestr(name, content)
    return file.getvalue()


@pytest.mark.parametrize("name", ["../../evil.shp", "/etc/evil.shp", "a/../../evil.shp", "C:\\evil.shp", "..\\evil.shp"])
async def test_a_member_of_a_zip_that_leads_out_is_refused(drop: Drop, tmp_path: Path, name: str) -> None:
    row = await drop("x.zip", archive(**{name: b"\0\0\x27\x0a", "evil.shx": b"", "evil.dbf": b""}))
    assert row.status == "failed" and "no path may be called" in row.message
    assert not list(tmp_path.rglob("evil*"))


async def test_a_zip_that_unpacks_to_too_much_is_refused(drop: Drop, settings: Any) -> None:
    settings.GEOSTREAM_INGEST_MAX_BYTES = 1 << 20
    row = await drop("x.zip", archive(**{"x.shp": bytes(2 << 20), "x.shx": b"", "x.dbf": b""}))
    assert row.status == "failed" and "INGEST_MAX_BYTES" in row.message


async def test_too_many_features_are_refused(drop: Drop, settings: Any) -> None:
    settings.GEOSTREAM_INGEST_MAX_FEATURES = 2
    row = await drop("x.geojson", collection(point(1), point(2), point(3)))
    assert row.status == "failed" and "INGEST_MAX_FEATURES" in row.message


async def test_too_large_a_file_is_not_even_copied(drop: Drop, settings: Any) -> None:
    settings.GEOSTREAM_INGEST_MAX_BYTES = 10
    row = await drop("x.geojson", collection(point(1)))
    assert row.status == "failed" and "INGEST_MAX_BYTES" in row.message
