"""Side files of rasters: they are used, checked, watched, and copied together with their image."""

from __future__ import annotations

from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import call_command
from rasterio.crs import CRS
from rasterio.enums import Resampling, WktVersion

from streaming.core.errors import StreamError
from streaming.models import Tileset
from streaming.tiles.change_feed import EVERYTHING
from streaming.tiles.imagery import imagery_sync, paint_sync
from streaming.tiles.paths import imagery_folder
from streaming.tiles.source_files import SourceFiles
from streaming.tiles.source_kinds import open_source, version_of
from streaming.tiles.sources.raster import RasterSource
from streaming.tiles.sources.side_files import side_ending, side_files
from streaming.tiles.tilesets import TilesetSettings, tileset_settings

from .conftest import EUROPE, plain, write_raster

pytestmark = pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
INSIDE = (5, 16, 10)  # 0..11.25 E, 48.9..55.8 N
NODATA = '<PAMDataset><PAMRasterBand band="1"><NoDataValue>9</NoDataValue></PAMRasterBand></PAMDataset>'
WORLD_FILE = f"{20 / 64}\n0\n0\n{-20 / 64}\n{10 / 64}\n{60 - 10 / 64}\n"
"""Of 64 x 64 pixels over EUROPE: size, rotation, and the middle of the first pixel."""
PROJECTION = CRS.from_epsg(4326).to_wkt(version=WktVersion.WKT1_ESRI)


def with_nodata(path: Path) -> Path:
    """A 9 is nodata, says GDAL's own note beside the file."""
    write_raster(path, plain(9))
    path.with_name(path.name + ".aux.xml").write_text(NODATA)
    return path


def with_crs_in_aux(path: Path) -> Path:
    """The position in a world file, the CRS in the note."""
    write_raster(path, plain(10, 20, 30), crs=None)
    path.with_suffix(".tfw").write_text(WORLD_FILE)
    path.with_name(path.name + ".aux.xml").write_text(
        f"<PAMDataset><SRS>{CRS.from_epsg(4326).to_wkt()}</SRS></PAMDataset>".replace('"', "&quot;")
    )
    return path


def with_prj(path: Path, world: str = ".tfw", projection: str = ".prj") -> Path:
    """A world file and a projection file, as ArcGIS writes them."""
    write_raster(path, plain(10, 20, 30), crs=None)
    path.with_suffix(world).write_text(WORLD_FILE)
    path.with_suffix(projection).write_text(PROJECTION)
    return path


def with_mask(path: Path) -> Path:
    """Half of it is masked."""
    write_raster(path, plain(10, 20, 30))
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=False), rasterio.open(path, "r+") as dataset:
        mask = np.full((64, 64), 255, np.uint8)
        mask[:, :18] = 0
        dataset.write_mask(mask)
    return path


def with_overviews_beside(path: Path) -> Path:
    """Overviews that are of another colour."""
    write_raster(path, plain(10, 20, 30, size=1024), tiled=True, blockxsize=256, blockysize=256)
    with rasterio.Env(TIFF_USE_OVR=True), rasterio.open(path, "r+") as dataset:
        dataset.build_overviews([2, 4], Resampling.average)
    return path


MAKERS: list[Callable[[Path], Path]] = [with_nodata, with_crs_in_aux, with_prj, with_mask, with_overviews_beside]


def tile(tileset: TilesetSettings) -> Any:
    source = open_source(tileset)
    assert isinstance(source, RasterSource)
    found = source.pixels(*INSIDE)
    source.close()
    return found


def alone(path: Path) -> Any:
    source = RasterSource([path])
    found = source.pixels(*INSIDE)
    source.close()
    return found


def test_nodata_beside_the_image_is_transparent(tmp_path: Path) -> None:
    assert alone(with_nodata(tmp_path / "a.tif")) is None


def test_a_mask_beside_the_image_makes_it_transparent(tmp_path: Path) -> None:
    found = alone(with_mask(tmp_path / "a.tif"))
    assert found[3, 128, [20, 220]].tolist() == [0, 255]


@pytest.mark.parametrize(
    "maker", [with_crs_in_aux, with_prj, lambda path: with_prj(path, ".TFW", ".PRJ"), lambda path: with_prj(path, ".wld")]
)
def test_files_beside_the_image_say_where_it_is(tmp_path: Path, maker: Callable[[Path], Path]) -> None:
    path = maker(tmp_path / "a.tif")
    source = RasterSource([path])
    assert source.metadata.bounds == pytest.approx(EUROPE)
    source.close()
    assert alone(path)[:, 128, 128].tolist() == [10, 20, 30, 255]


def test_names_of_side_files_are_known() -> None:
    names = ["a.tfw", "a.TFW", "a.tif.aux.xml", "a.tif.msk", "a.tif.ovr", "a_RPC.TXT", "a.prj", "a.tif", "a.txt", "msk"]
    assert [side_ending(name) for name in names] == [".tfw", ".tfw", ".aux.xml", ".msk", ".ovr", "_rpc.txt", ".prj", None, None, None]


# -- what is refused -----------------------------------------------------------


@pytest.mark.parametrize("ending", [".msk", ".ovr", ".msk.ovr"])
def test_masks_and_overviews_that_are_no_tiff_are_refused(tmp_path: Path, ending: str) -> None:
    """GDAL would open any format there, also one that names addresses."""
    path = write_raster(tmp_path / "a.tif", plain(1, 2, 3))
    path.with_name(path.name + ending).write_text('<VRTDataset rasterXSize="64" rasterYSize="64"></VRTDataset>')
    refused(path, rf"a\.tif{ending}: ")


@pytest.mark.parametrize("ending", [".msk", ".ovr"])
def test_masks_and_overviews_that_name_other_files_are_refused(tmp_path: Path, ending: str) -> None:
    path = write_raster(tmp_path / "a.tif", plain(1, 2, 3))
    side = write_raster(tmp_path / f"a.tif{ending}", plain(255))
    with rasterio.open(side, "r+") as dataset:
        dataset.update_tags(ns="OVERVIEWS", OVERVIEW_FILE=str(path))
    refused(path, "names another file or address")


def test_a_note_that_names_other_files_is_refused(tmp_path: Path) -> None:
    path = write_raster(tmp_path / "a.tif", plain(1, 2, 3))
    path.with_name("a.tif.aux.xml").write_text(
        '<PAMDataset><Metadata domain="OVERVIEWS"><MDI key="OVERVIEW_FILE">/vsicurl/http://127.0.0.1:9/b.tif</MDI></Metadata></PAMDataset>'
    )
    refused(path, "names another file or address")


def test_links_that_lead_elsewhere_are_refused(tmp_path: Path) -> None:
    path = write_raster(tmp_path / "a.tif", plain(1, 2, 3))
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "secret").write_text(WORLD_FILE)
    path.with_suffix(".tfw").symlink_to(tmp_path / "elsewhere" / "secret")
    refused(path, "link that leads out")


def test_texts_that_are_too_large_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streaming.tiles.sources.side_files.MAX_TEXT_BYTES", 100)
    path = write_raster(tmp_path / "a.tif", plain(1, 2, 3))
    path.with_name("a.tif.aux.xml").write_text(" " * 101)
    refused(path, "too large")


def test_a_world_file_without_a_projection_is_refused_with_advice(tmp_path: Path) -> None:
    path = write_raster(tmp_path / "a.tif", plain(1, 2, 3), crs=None)
    path.with_suffix(".tfw").write_text(WORLD_FILE)
    refused(path, r"\.prj")


def test_a_projection_that_is_none_is_refused(tmp_path: Path) -> None:
    path = with_prj(tmp_path / "a.tif")
    path.with_suffix(".prj").write_text("no projection")
    refused(path, r"a\.prj: ")


def refused(path: Path, reason: str) -> None:
    with pytest.raises(StreamError, match=reason) as caught:
        RasterSource([path])
    assert caught.value.code == "invalid_source"


# -- taken along ---------------------------------------------------------------


@pytest.fixture
def engine(transactional_db: None, redis: None, data_dir: Path) -> None:
    pass


@pytest.mark.parametrize("maker", MAKERS)
def test_a_copy_looks_like_the_original(engine: None, data_dir: Path, tmp_path: Path, maker: Callable[[Path], Path]) -> None:
    original = maker(tmp_path / "a.tif")
    call_command("add_tiles", "copy", str(original), copy=True, stdout=StringIO(), stderr=StringIO())
    copied = data_dir / "tiles" / "copy"
    assert sorted(path.name for path in copied.iterdir()) == sorted(path.name for path in tmp_path.iterdir() if path.is_file())
    assert np.array_equal(tile(tileset_settings(Tileset.objects.get())), alone(original))


def test_side_files_of_the_copy_before_are_taken_away(engine: None, data_dir: Path, tmp_path: Path) -> None:
    original = with_nodata(tmp_path / "a.tif")
    call_command("add_tiles", "copy", str(original), copy=True, stdout=StringIO(), stderr=StringIO())
    original.with_name("a.tif.aux.xml").unlink()
    call_command("add_tiles", "copy", str(original), copy=True, stdout=StringIO())
    assert [path.name for path in (data_dir / "tiles" / "copy").iterdir()] == ["a.tif"]
    assert tile(tileset_settings(Tileset.objects.get())) is not None


def test_a_changed_side_file_is_a_change_of_the_image(data_dir: Path) -> None:
    path = write_raster(data_dir / "a.tif", plain(9))
    settings = TilesetSettings("some", "some", "raster", ("a.tif",))
    files, version = SourceFiles(settings), version_of(settings)
    path.with_name("a.tif.aux.xml").write_text(NODATA)
    assert files.changed()
    assert files.take_change([]) == EVERYTHING
    assert version_of(settings) != version


@pytest.fixture
def blue(engine: None, data_dir: Path) -> TilesetSettings:
    path = write_raster(data_dir / "blue.tif", plain(0, 0, 200))
    return tileset_settings(Tileset.objects.create(name="blue", kind="raster", source=str(path)))


@pytest.mark.parametrize("maker", MAKERS)
def test_an_image_is_painted_with_its_side_files(blue: TilesetSettings, tmp_path: Path, maker: Callable[[Path], Path]) -> None:
    original = maker(tmp_path / "a.tif")
    painted = paint_sync(blue, original, "image")
    assert painted.bytes == sum(path.stat().st_size for path in (original, *side_files(original)))
    above, found = alone(original), tile(blue)
    shown = np.zeros((256, 256), bool) if above is None else above[3] == 255
    assert (found[2, ~shown] == 200).all()
    if shown.any():
        assert np.array_equal(found[:3, shown], above[:3, shown])


def test_with_an_image_its_side_files_go(blue: TilesetSettings, tmp_path: Path) -> None:
    first = with_mask(tmp_path / "a.tif")
    paint_sync(blue, first, "image")
    first.with_name("a.tif.msk").unlink()
    paint_sync(blue, first, "image")
    left = [path.name for path in imagery_folder("blue").iterdir() if path.name != ".lock"]
    assert len(left) == len(imagery_sync(blue)) == 1


def test_a_form_has_side_files(blue: TilesetSettings, tmp_path: Path, admin_client: Any) -> None:
    path = with_prj(tmp_path / "a.tif")
    files = {
        "file": SimpleUploadedFile("a.tif", path.read_bytes()),
        "side_file": [SimpleUploadedFile(f"a{ending}", path.with_suffix(ending).read_bytes()) for ending in (".tfw", ".prj")],
    }
    answer = admin_client.post("/api/tilesets/blue/imagery?name=image", files)
    assert answer.status_code == 201, answer.content
    assert answer.json()["bounds"] == pytest.approx(EUROPE)
    assert tile(blue)[:, 128, 128].tolist() == [10, 20, 30, 255]


@pytest.mark.parametrize("name", ["a.exe", "../a.txt", "a.tif"])
def test_a_side_file_of_another_name_is_refused(blue: TilesetSettings, tmp_path: Path, admin_client: Any, name: str) -> None:
    path = write_raster(tmp_path / "a.tif", plain(1, 2, 3))
    answer = admin_client.post(
        "/api/tilesets/blue/imagery", {"file": SimpleUploadedFile("a.tif", path.read_bytes()), "side_file": SimpleUploadedFile(name, b"1")}
    )
    assert (answer.status_code, answer.json()["code"]) == (400, "bad_request")


def test_a_bad_side_file_leaves_nothing_behind(blue: TilesetSettings, tmp_path: Path, admin_client: Any) -> None:
    path = write_raster(tmp_path / "a.tif", plain(1, 2, 3))
    answer = admin_client.post(
        "/api/tilesets/blue/imagery",
        {"file": SimpleUploadedFile("a.tif", path.read_bytes()), "side_file": SimpleUploadedFile("a.tif.msk", b"<VRTDataset/>")},
    )
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_image")
    assert imagery_sync(blue) == []
    assert [entry.name for entry in imagery_folder("blue").iterdir()] in ([], [".lock"])
