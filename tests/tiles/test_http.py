"""Tiles over HTTP, as stock maps ask for them."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.contrib.auth.models import Permission, User
from django.core.management import CommandError, call_command
from django.test import Client
from rasterio.io import MemoryFile
from rest_framework_simplejwt.tokens import AccessToken

from streaming.api.authentication import user_cache
from streaming.api.tiles import transparent
from streaming.features.publishing import publish
from streaming.models import Tileset
from streaming.tiles import images
from streaming.tiles.sources.base import FORMAT_NAMES, MIME
from streaming.tiles.tile_renderer import tile_renderer
from streaming.tiles.tilesets import tilesets
from tests.geo_peer import point

from .conftest import PNG, plain, truncate, write_raster

pytestmark = pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")  # the tests open tiles as images
Write = Callable[..., Path]


@pytest.fixture(autouse=True)
def engine(transactional_db: None, redis: None, data_dir: Path) -> None:
    user_cache.clear()


@pytest.fixture
def client() -> Client:
    return Client()


@pytest.fixture
def blue(data_dir: Path) -> Path:
    path = write_raster(data_dir / "blue.tif", plain(0, 0, 200))
    add("blue", path)
    return path


def add(name: str, *sources: object, **options: Any) -> str:
    out = StringIO()
    call_command("add_tiles", name, *map(str, sources), stdout=out, **options)
    return out.getvalue()


def colour(data: bytes) -> list[int]:
    with MemoryFile(data) as file, file.open() as image:
        return [int(value) for value in image.read()[:3, 128, 128]]


def test_a_tile_has_its_type_and_a_strong_tag(client: Client, blue: Path) -> None:
    answer = client.get("/tiles/blue/3/4/2.png")
    assert (answer.status_code, answer["Content-Type"]) == (200, "image/png")
    assert answer["ETag"].startswith('"') and len(answer["ETag"]) == 34
    assert (answer["Cache-Control"], answer["Access-Control-Allow-Origin"]) == ("public, no-cache", "*")


@pytest.mark.parametrize("known", ["{}", "W/{}", '"other", {}', "*"])
def test_an_unchanged_tile_is_not_sent_again(client: Client, blue: Path, known: str) -> None:
    tag = client.get("/tiles/blue/3/4/2.png")["ETag"]
    answer = client.get("/tiles/blue/3/4/2.png", headers={"If-None-Match": known.format(tag)})
    assert (answer.status_code, answer.content, answer["ETag"]) == (304, b"", tag)
    assert not answer.has_header("Content-Type")


@pytest.mark.parametrize(("ending", "mime"), [("webp", "image/webp"), ("jpg", "image/jpeg"), ("jpeg", "image/jpeg"), ("png", "image/png")])
def test_a_raster_is_sent_in_the_format_of_the_ending(client: Client, blue: Path, ending: str, mime: str) -> None:
    answer = client.get(f"/tiles/blue/3/4/2.{ending}")
    assert (answer.status_code, answer["Content-Type"]) == (200, mime)
    assert images.sniff(answer.content) == FORMAT_NAMES[ending]


def test_every_format_of_a_raster_follows_its_file(client: Client, blue: Path, settings: Any) -> None:
    settings.GEOSTREAM_TILE_CHECK_SECONDS = 0.0
    before = [client.get(f"/tiles/blue/3/4/2.{ending}")["ETag"] for ending in ("png", "webp")]
    os.replace(write_raster(blue.with_suffix(".new"), plain(200, 0, 0)), blue)
    after = [client.get(f"/tiles/blue/3/4/2.{ending}")["ETag"] for ending in ("png", "webp")]
    assert len({*before, *after}) == 4


def test_finished_tiles_are_not_sent_in_another_format(client: Client, data_dir: Path, mbtiles: Write) -> None:
    path = mbtiles({(0, 0, 0): PNG})
    add("mb", path.rename(data_dir / path.name))
    answer = client.get("/tiles/mb/0/0/0.webp")
    assert (answer.status_code, answer.json()["code"]) == (404, "unknown_tile")


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer nonsense"}], ids=["anonymous", "a bad token"])
def test_pages_of_other_sites_can_read_refusals_of_public_tilesets(client: Client, blue: Path, headers: dict[str, str]) -> None:
    answer = client.get("/tiles/blue/40/0/0.png", headers=headers)
    assert (answer.status_code, answer["Access-Control-Allow-Origin"]) == (401 if headers else 404, "*")
    Tileset.objects.update(public=False)
    tilesets.clear()
    assert not client.get("/tiles/blue/40/0/0.png", headers=headers).has_header("Access-Control-Allow-Origin")


def test_a_replaced_file_shows_at_once(client: Client, blue: Path, settings: Any) -> None:
    settings.GEOSTREAM_TILE_CHECK_SECONDS = 0.0
    add("blue", blue, max_zoom=5)
    before = client.get("/tiles/blue/5/16/10.png")
    assert colour(before.content) == [0, 0, 200]
    os.replace(write_raster(blue.with_suffix(".new"), plain(200, 0, 0)), blue)
    after = client.get("/tiles/blue/5/16/10.png", headers={"If-None-Match": before["ETag"]})
    assert after.status_code == 200, after.content
    assert colour(after.content) == [200, 0, 0]


def test_where_a_raster_has_nothing_the_tile_is_transparent(client: Client, data_dir: Path) -> None:
    add("nothing", write_raster(data_dir / "a.tif", plain(9), nodata=9))
    answer = client.get("/tiles/nothing/3/4/2.png")
    assert (answer.status_code, answer.content) == (200, transparent(256).data)


@pytest.mark.parametrize("size", [256, 512])
def test_the_transparent_tile_is_a_real_one(size: int) -> None:
    with MemoryFile(transparent(size).data) as file, file.open() as image:
        assert (image.width, image.height) == (size, size)
        assert not np.any(image.dataset_mask())


def test_finished_tiles_are_sent_as_they_are(client: Client, data_dir: Path, mbtiles: Write, pmtiles: Write) -> None:
    for name, write in (("mb", mbtiles), ("pm", pmtiles)):
        path = write({(0, 0, 0): PNG})
        add(name, path.rename(data_dir / path.name))
        assert client.get(f"/tiles/{name}/0/0/0.png").content == PNG


def test_a_layer_as_vector_tiles_follows_its_features(client: Client, settings: Any) -> None:
    settings.GEOSTREAM_TILE_CHECK_SECONDS = 0.0
    publish("ships", [point("a", 10, 50)])
    add("ships", "ships")
    first = client.get("/tiles/ships/0/0/0.pbf")
    assert (first.status_code, first["Content-Type"]) == (200, MIME["mvt"])
    publish("ships", [point("b", 20, 50)])
    assert client.get("/tiles/ships/0/0/0.mvt")["ETag"] != first["ETag"]


def test_an_empty_vector_tile_has_no_content(client: Client) -> None:
    publish("ships", [point("a", 10, 50), point("b", 20, -50)])
    add("ships", "ships")
    answer = client.get("/tiles/ships/9/270/256.mvt")
    assert (answer.status_code, answer.content) == (204, b"")


@pytest.mark.parametrize(
    "path", ["blue/40/0/0.png", "blue/3/8/0.png", "blue/3/0/0.png", "blue/9/270/170.png", "blue/3/4/2.mvt", "blue/3/4/2.pbf"]
)
def test_where_there_is_no_tile(client: Client, blue: Path, path: str) -> None:
    answer = client.get(f"/tiles/{path}")
    assert (answer.status_code, answer.json()["code"]) == (404, "unknown_tile")


@pytest.mark.parametrize(("path", "code"), [("red/0/0/0.png", "unknown_tileset"), ("blue/a/b/c.png", "not_found"), ("blue", "not_found")])
def test_where_there_is_nothing(client: Client, blue: Path, path: str, code: str) -> None:
    answer = client.get(f"/tiles/{path}")
    assert (answer.status_code, answer.json()["code"]) == (404, code)


def test_tilejson_says_what_a_map_needs(client: Client, blue: Path) -> None:
    document = client.get("/tiles/blue/tilejson.json").json()
    assert document["tiles"] == ["http://testserver/tiles/blue/{z}/{x}/{y}.png"]
    assert (document["tilejson"], document["minzoom"], document["maxzoom"], document["tileSize"]) == ("3.0.0", 0, 3, 256)
    assert document["bounds"] == pytest.approx([0, 40, 20, 60])


def test_tilejson_of_vector_tiles_names_their_layers(client: Client) -> None:
    publish("ships", [point("a", 10, 50)])
    add("ships", "ships")
    document = client.get("/tiles/ships/tilejson.json").json()
    assert document["vector_layers"] == [{"id": "ships", "fields": {}}]
    assert document["thinned_below"] == 12


def test_tilesets_are_listed(client: Client, blue: Path) -> None:
    (tileset,) = client.get("/api/tilesets/").json()
    assert (tileset["name"], tileset["kind"], tileset["format"], tileset["max_zoom"]) == ("blue", "raster", "png", 3)
    assert tileset == client.get("/api/tilesets/blue/").json()
    assert client.get(tileset["links"][1]["href"]).status_code == 200


def test_a_broken_source_breaks_only_its_tileset(client: Client, blue: Path, data_dir: Path, settings: Any) -> None:
    settings.GEOSTREAM_TILE_CHECK_SECONDS = 0.0
    other = write_raster(data_dir / "other.tif", plain(1, 2, 3))
    add("other", other)
    truncate(other)
    answer = client.get("/tiles/other/3/4/2.png")
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_source")
    listed = {each["name"]: each.get("error", {}).get("code") for each in client.get("/api/tilesets/").json()}
    assert listed == {"blue": None, "other": "invalid_source"}
    assert client.get("/tiles/blue/3/4/2.png").status_code == 200


def test_a_tileset_that_is_not_public(client: Client, blue: Path) -> None:
    Tileset.objects.get(name="blue").delete()
    add("secret", blue, private=True)
    user = User.objects.create_user("user")
    headers = {"Authorization": f"Bearer {AccessToken.for_user(user)}"}
    paths = ("/tiles/secret/3/4/2.png", "/tiles/secret/tilejson.json", "/api/tilesets/secret/")
    assert client.get("/api/tilesets/").json() == []
    assert [client.get(path).status_code for path in paths] == [404] * 3
    assert [client.get(path, headers=headers).status_code for path in paths] == [404] * 3
    user.user_permissions.add(Permission.objects.get(codename="view_tileset"))
    user_cache.clear()
    answers = [client.get(path, headers=headers) for path in paths]
    assert [answer.status_code for answer in answers] == [200] * 3
    assert answers[0]["Cache-Control"] == "private, no-cache"
    assert "Access-Control-Allow-Origin" not in answers[0]


def test_the_command_says_what_it_found(blue: Path) -> None:
    assert add("again", blue, title="Again").splitlines() == [
        "again: raster, png tiles of the zooms 0 to 3, from 0,40 to 20,60",
        "Maps find them at /tiles/again/{z}/{x}/{y}.png",
    ]


def test_the_command_changes_what_its_arguments_name(client: Client, blue: Path) -> None:
    add("blue", blue, title="Blue", max_zoom=6, format="webp")
    add("blue", blue, attribution="us")
    tileset = client.get("/api/tilesets/blue/").json()
    assert [tileset[key] for key in ("title", "max_zoom", "format", "attribution")] == ["Blue", 6, "webp", "us"]
    assert client.get("/tiles/blue/6/33/21.webp")["Content-Type"] == "image/webp"


def test_a_file_elsewhere_is_refused_unless_it_is_copied(client: Client, tmp_path: Path, data_dir: Path) -> None:
    path = write_raster(tmp_path / "elsewhere.tif", plain(1, 2, 3))
    with pytest.raises(CommandError, match="GEOSTREAM_TILE_ROOTS"):
        add("elsewhere", path)
    assert not Tileset.objects.exists()
    add("elsewhere", path, copy=True)
    assert Path(Tileset.objects.get().source) == data_dir / "tiles" / "elsewhere" / "elsewhere.tif"
    assert client.get("/tiles/elsewhere/3/4/2.png").status_code == 200


def test_a_folder_that_is_allowed(tmp_path: Path, settings: Any) -> None:
    settings.GEOSTREAM_TILE_ROOTS = f"/nowhere, {tmp_path / 'maps'}"
    (tmp_path / "maps").mkdir()
    assert "raster" in add("maps", write_raster(tmp_path / "maps" / "a.tif", plain(1)))


def test_a_link_out_of_the_data_folder_is_refused(tmp_path: Path, data_dir: Path) -> None:
    (data_dir / "link.tif").symlink_to(write_raster(tmp_path / "elsewhere.tif", plain(1)))
    with pytest.raises(CommandError, match="GEOSTREAM_TILE_ROOTS"):
        add("link", data_dir / "link.tif")


@pytest.mark.parametrize("source", ["../../etc/passwd", "/etc/passwd", "nowhere.tif", "a\0b.tif"])
def test_rows_that_lead_out_of_the_data_folder_are_refused(client: Client, source: str) -> None:
    Tileset.objects.create(name="bad", kind="raster", source=source)
    answer = client.get("/tiles/bad/0/0/0.png")
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_source")
    assert "/etc" not in answer.json()["message"]


@pytest.mark.parametrize(
    ("kind", "source"), [("raster", ""), ("layer", ""), ("directory", "blue.tif"), ("mbtiles", "blue.tif"), ("layer", "none")]
)
def test_rows_that_make_no_sense_are_refused(client: Client, blue: Path, kind: str, source: str) -> None:
    Tileset.objects.create(name="bad", kind=kind, source=source)
    answer = client.get("/tiles/bad/0/0/0.png")
    assert answer.status_code in (404, 422)
    assert answer.json()["code"] in ("invalid_source", "unknown_layer")


def test_what_cannot_be_added(data_dir: Path, tmp_path: Path) -> None:
    path = write_raster(data_dir / "a.tif", plain(1))
    refused = {
        "colormap": {"colormap": "nowhere"},
        "rescale": {"rescale": "9,1"},
        "highest zoom": {"min_zoom": 5, "max_zoom": 3},
        "30": {"max_zoom": 40},
    }
    for word, options in refused.items():
        with pytest.raises(CommandError, match=word):
            add("bad", path, **options)
    for arguments, word in ((("bad", "no-layer"), "no layer"), (("bad name", path), "Letters"), (("bad", truncate(path)), "a.tif")):
        with pytest.raises(CommandError, match=word):
            add(*map(str, arguments))
    assert not Tileset.objects.exists()


def test_the_admin_shows_tilesets_and_refuses_broken_ones(blue: Path, data_dir: Path) -> None:
    admin = Client()
    admin.force_login(User.objects.create_superuser("admin"))
    assert b"/tiles/blue/tilejson.json" in admin.get("/admin/streaming/tileset/").content
    form = {"name": "bad", "kind": "mbtiles", "source": str(blue), "tile_size": "256", "public": "on"}
    page = admin.post("/admin/streaming/tileset/add/", form)
    assert page.status_code == 200 and b"blue.tif: " in page.content
    assert admin.post("/admin/streaming/tileset/add/", {**form, "kind": "raster"}).status_code == 302


def test_the_demos_relief_can_be_added(client: Client) -> None:
    relief = Path(__file__).parents[2] / "streaming" / "demo" / "relief.tif"
    assert "zooms 0 to 2" in add("relief", relief)
    assert client.get("/tiles/relief/0/0/0.png").status_code == 200


def test_an_open_database_is_let_go_when_the_service_closes(mbtiles: Write, data_dir: Path, client: Client) -> None:
    path = mbtiles({(0, 0, 0): PNG})
    path = path.rename(data_dir / path.name)
    add("mb", path)
    client.get("/tiles/mb/0/0/0.png")
    tile_renderer().close()
    with sqlite3.connect(path) as database:
        database.execute("DELETE FROM tiles")
    database.close()
