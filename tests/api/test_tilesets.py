"""/api/tilesets/: making tilesets, changing and removing them, pushing tiles and painting imagery over HTTP."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.files.uploadedfile import SimpleUploadedFile
from rest_framework.test import APIClient

from streaming.core.redis import sync_redis
from streaming.models import Layer, Tileset
from streaming.tiles.change_feed import ChangedArea, changed_tiles, parse_change, tiles_feed
from streaming.tiles.grid import Tile
from streaming.tiles.paths import imagery_folder
from streaming.tiles.sources.pushed import pushed_keys
from streaming.tiles.tile_renderer import close_tile_renderer
from streaming.tiles.tilesets import tilesets
from tests.tiles.conftest import plain, write_raster
from tests.tiles.test_pushed_tiles import picture, vector

RADAR = "/api/tilesets/radar/"
TILE = f"{RADAR}tiles/3/4/2"
PAINTING = "/api/tilesets/relief/imagery"
WEST = (0.0, 40.0, 10.0, 60.0)


@pytest.fixture(autouse=True)
def data_dir(tmp_path: Path, settings: Any) -> Iterator[Path]:
    folder = tmp_path / "data"
    folder.mkdir()
    settings.GEOSTREAM_DATA_DIR = folder
    close_tile_renderer()
    tilesets.clear()
    yield folder
    close_tile_renderer()
    tilesets.clear()


@pytest.fixture
def publisher(user_with: Callable[..., APIClient]) -> APIClient:
    return user_with("change_tileset")


@pytest.fixture
def radar() -> Tileset:
    return Tileset.objects.create(name="radar", kind="pushed", max_zoom=8)


@pytest.fixture
def relief(data_dir: Path) -> Tileset:
    path = write_raster(data_dir / "relief.tif", plain(0, 0, 200))
    return Tileset.objects.create(name="relief", kind="raster", source=str(path), max_zoom=6)


@pytest.fixture
def strip(tmp_path: Path) -> bytes:
    return write_raster(tmp_path / "strip.tif", plain(200, 0, 0), WEST).read_bytes()


def told(tileset: str) -> list[ChangedArea]:
    return [parse_change(fields[b"n"][13:]) for _, fields in sync_redis().xrange(tiles_feed(tileset).log_key)]


def put(client: APIClient, data: bytes, path: str = TILE, **more: Any) -> Any:
    return client.put(path, data, content_type=more.pop("content_type", "image/png"), **more)


def paint(client: APIClient, data: bytes, query: str = "", **more: Any) -> Any:
    return client.post(PAINTING + query, data, content_type=more.pop("content_type", "image/tiff"), **more)


# -- tilesets ---------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/api/tilesets", "/api/tilesets/"])
def test_a_tileset_is_created(user_with: Callable[..., APIClient], data_dir: Path, path: str) -> None:
    write_raster(data_dir / "relief.tif", plain(1, 2, 3))
    body = {"name": "relief", "title": "Relief", "kind": "raster", "source": "relief.tif", "format": "webp"}
    answer = user_with("add_tileset").post(path, body, format="json")
    assert (answer.status_code, answer["Location"]) == (201, "http://testserver/api/tilesets/relief/")
    assert {key: answer.json()[key] for key in ("title", "format", "max_zoom")} == {"title": "Relief", "format": "webp", "max_zoom": 3}
    assert Tileset.objects.get().source == "relief.tif"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"name": "x"}, "kind"),
        ({"name": "-", "kind": "pushed"}, "name"),
        ({"name": "taken", "kind": "pushed"}, "name"),
        ({"name": "x", "kind": "else"}, "kind"),
        ({"name": "x", "kind": "raster"}, "source"),
        ({"name": "x", "kind": "raster", "source": "../../etc/passwd"}, "source"),
        ({"name": "x", "kind": "raster", "source": "/etc/passwd"}, "source"),
        ({"name": "x", "kind": "raster", "source": "nowhere.tif"}, "source"),
        ({"name": "x", "kind": "raster", "source": "broken.tif"}, "source"),
        ({"name": "x", "kind": "mbtiles", "source": "broken.tif"}, "source"),
        ({"name": "x", "kind": "layer", "source": "nowhere"}, "source"),
        ({"name": "x", "kind": "pushed", "source": "relief.tif"}, "source"),
        ({"name": "x", "kind": "pushed", "max_zoom": 40}, "max_zoom"),
        ({"name": "x", "kind": "pushed", "min_zoom": 5, "max_zoom": 4}, "max_zoom"),
        ({"name": "x", "kind": "pushed", "tile_size": 300}, "tile_size"),
        ({"name": "x", "kind": "pushed", "format": "gif"}, "format"),
    ],
)
def test_settings_that_cannot_be_are_refused_by_field(admin: APIClient, data_dir: Path, body: dict[str, Any], field: str) -> None:
    Tileset.objects.create(name="taken", kind="pushed")
    (data_dir / "broken.tif").write_bytes(b"broken")
    answer = admin.post("/api/tilesets/", body, format="json")
    assert (answer.status_code, answer.json()["code"]) == (400, "bad_request")
    assert [error["field"] for error in answer.json()["errors"]] == [field]
    assert Tileset.objects.count() == 1


def test_settings_are_changed_and_told(publisher: APIClient, radar: Tileset) -> None:
    answer = publisher.patch(RADAR, {"title": "Radar", "max_zoom": 5}, format="json")
    assert (answer.status_code, answer.json()["title"], answer.json()["max_zoom"]) == (200, "Radar", 5)
    assert told("radar") == [ChangedArea()]


def test_a_change_that_cannot_be_changes_nothing(publisher: APIClient, relief: Tileset) -> None:
    answer = publisher.patch("/api/tilesets/relief/", {"source": "/etc/passwd"}, format="json")
    assert (answer.status_code, [error["field"] for error in answer.json()["errors"]]) == (400, ["source"])
    assert Tileset.objects.get().source == relief.source
    assert told("relief") == []


def test_a_tileset_keeps_its_name(publisher: APIClient, radar: Tileset) -> None:
    assert publisher.patch(RADAR, {"name": "other"}, format="json").status_code == 400
    assert publisher.patch(RADAR, {"name": "radar"}, format="json").status_code == 200


def test_where_the_files_are_is_for_those_who_may_change_it(nobody: APIClient, publisher: APIClient, relief: Tileset) -> None:
    assert "source" not in nobody.get("/api/tilesets/relief/").json()
    assert publisher.get("/api/tilesets/relief/").json()["source"] == relief.source
    assert publisher.get("/api/tilesets/").json()[0]["source"] == relief.source


def test_a_tileset_is_removed_with_all_that_was_pushed(user_with: Callable[..., APIClient], publisher: APIClient, radar: Tileset) -> None:
    put(publisher, picture(1))
    assert user_with("delete_tileset").delete(RADAR).status_code == 204
    assert not sync_redis().exists(*pushed_keys("radar"), *tiles_feed("radar").keys)
    assert not Tileset.objects.exists()


@pytest.mark.parametrize(
    ("method", "path", "permission"),
    [
        ("post", "/api/tilesets/", "add_tileset"),
        ("patch", RADAR, "change_tileset"),
        ("delete", RADAR, "delete_tileset"),
        ("put", TILE, "change_tileset"),
        ("delete", TILE, "change_tileset"),
        ("get", PAINTING, "change_tileset"),
        ("post", PAINTING, "change_tileset"),
        ("delete", PAINTING, "change_tileset"),
        ("delete", f"{PAINTING}/strip", "change_tileset"),
    ],
)
def test_each_method_needs_its_permission(
    nobody: APIClient, user_with: Callable[..., APIClient], radar: Tileset, method: str, path: str, permission: str
) -> None:
    others = {"add_tileset", "change_tileset", "delete_tileset", "view_tileset", "change_layer"} - {permission}
    assert getattr(nobody, method)(path).status_code == 401
    answer = getattr(user_with(*others), method)(path)
    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
    assert permission in answer.json()["message"]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("patch", "/api/tilesets/nowhere/"),
        ("delete", "/api/tilesets/nowhere/"),
        ("put", "/api/tilesets/nowhere/tiles/0/0/0"),
        ("delete", "/api/tilesets/nowhere/tiles/0/0/0"),
        ("get", "/api/tilesets/nowhere/imagery"),
        ("post", "/api/tilesets/nowhere/imagery"),
        ("delete", "/api/tilesets/nowhere/imagery/a"),
    ],
)
def test_an_unknown_tileset(admin: APIClient, method: str, path: str) -> None:
    answer = getattr(admin, method)(path)
    assert (answer.status_code, answer.json()["code"]) == (404, "unknown_tileset")


# -- pushed tiles -----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("content_type", ["image/png", "application/octet-stream", "application/x-www-form-urlencoded", "nonsense"])
@pytest.mark.parametrize("path", [TILE, f"{TILE}/", f"{TILE}.png"])
def test_a_tile_is_pushed_whatever_it_is_called(
    nobody: APIClient, publisher: APIClient, radar: Tileset, path: str, content_type: str
) -> None:
    answer = put(publisher, picture(200, 0, 0), path, content_type=content_type)
    version = answer.json()["version"]
    assert (answer.status_code, answer.json()) == (201, {"tile": [4, 2, 3], "version": version, "outcome": "added"})
    shown = nobody.get("/tiles/radar/3/4/2.png")
    assert (shown.content, shown["ETag"]) == (picture(200, 0, 0), f'"{version}"')
    assert told("radar") == [changed_tiles([Tile(3, 4, 2)])]


def test_a_tile_that_was_there_is_updated_or_unchanged(publisher: APIClient, radar: Tileset) -> None:
    answers = [put(publisher, picture(shade)) for shade in (1, 2, 2)]
    assert [(answer.status_code, answer.json()["outcome"]) for answer in answers] == [
        (201, "added"),
        (200, "updated"),
        (200, "unchanged"),
    ]
    assert len(told("radar")) == 2


def test_a_tile_is_removed(publisher: APIClient, radar: Tileset) -> None:
    put(publisher, picture(1))
    assert [publisher.delete(TILE).status_code for _ in range(2)] == [204, 404]
    assert len(told("radar")) == 2


def test_a_vector_tile_is_pushed(nobody: APIClient, publisher: APIClient) -> None:
    Tileset.objects.create(name="radar", kind="pushed", format="mvt")
    assert put(publisher, vector(), f"{TILE}.pbf").status_code == 201
    assert nobody.get("/tiles/radar/3/4/2.mvt").content == vector()


@pytest.mark.parametrize(
    ("path", "data", "status", "code"),
    [
        (f"{RADAR}tiles/9/0/0", picture(1), 404, "unknown_tile"),
        (f"{RADAR}tiles/40/0/0", picture(1), 404, "unknown_tile"),
        (f"{RADAR}tiles/3/8/0", picture(1), 404, "unknown_tile"),
        (f"{RADAR}tiles/3/a/0", picture(1), 404, "not_found"),
        (f"{TILE}.webp", picture(1), 422, "invalid_tile"),
        (TILE, b"", 422, "invalid_tile"),
        (TILE, picture(1)[:-20], 422, "invalid_tile"),
        (TILE, picture(1)[:16] + b"\x00\x01\x00\x00" * 2 + picture(1)[24:], 422, "invalid_tile"),
        (TILE, bytes(4 * 1024 * 1024 + 1), 413, "too_large"),
    ],
)
def test_tiles_that_are_refused_leave_nothing_behind(
    publisher: APIClient, radar: Tileset, path: str, data: bytes, status: int, code: str
) -> None:
    answer = put(publisher, data, path)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert not sync_redis().exists(*pushed_keys("radar"))
    assert told("radar") == []


def test_tiles_are_not_pushed_to_rasters(publisher: APIClient, relief: Tileset) -> None:
    answer = put(publisher, picture(1), "/api/tilesets/relief/tiles/0/0/0")
    assert (answer.status_code, answer.json()["code"]) == (409, "wrong_tileset_kind")


# -- imagery ----------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("content_type", ["image/tiff", "application/octet-stream"])
def test_an_image_is_painted(publisher: APIClient, relief: Tileset, strip: bytes, content_type: str) -> None:
    answer = paint(publisher, strip, "?name=strip", content_type=content_type)
    painted = answer.json()
    assert (answer.status_code, painted["image"], painted["bytes"]) == (201, "strip", len(strip))
    assert painted["bounds"] == pytest.approx(WEST)
    assert told("relief") == [ChangedArea(box=tuple(painted["bounds"]))]
    assert publisher.get(PAINTING).json() == [painted]


def test_an_image_is_painted_by_a_form(publisher: APIClient, relief: Tileset, strip: bytes) -> None:
    answer = publisher.post(f"{PAINTING}?name=strip", {"file": SimpleUploadedFile("any.tif", strip)}, format="multipart")
    assert (answer.status_code, answer.json()["bytes"]) == (201, len(strip))


def test_a_page_of_the_site_may_paint_with_its_session(relief: Tileset, strip: bytes) -> None:
    page = APIClient(enforce_csrf_checks=True)
    page.force_login(User.objects.create_superuser("admin"))
    assert page.post(PAINTING, {"file": SimpleUploadedFile("any.tif", strip)}, format="multipart").status_code == 403
    page.get("/admin/")
    page.cookies["csrftoken"] = "x" * 32
    answer = page.post(PAINTING, {"file": SimpleUploadedFile("any.tif", strip)}, format="multipart", headers={"X-CSRFToken": "x" * 32})
    assert answer.status_code == 201


def test_painting_shows_over_http(nobody: APIClient, publisher: APIClient, relief: Tileset, strip: bytes, settings: Any) -> None:
    settings.GEOSTREAM_TILE_CHECK_SECONDS = 0.0
    west, east = "/tiles/relief/6/33/21.png", "/tiles/relief/6/34/21.png"
    before = [nobody.get(path)["ETag"] for path in (west, east)]
    paint(publisher, strip)
    after = [nobody.get(path)["ETag"] for path in (west, east)]
    assert (before[0] != after[0], before[1] == after[1]) == (True, True)
    assert publisher.delete(PAINTING).status_code == 204
    assert [nobody.get(path)["ETag"] for path in (west, east)] == before


def test_one_image_is_taken_away(publisher: APIClient, relief: Tileset, strip: bytes) -> None:
    paint(publisher, strip, "?name=strip")
    answers = [publisher.delete(f"{PAINTING}/strip") for _ in range(2)]
    assert [answer.status_code for answer in answers] == [204, 404]
    assert publisher.get(PAINTING).json() == []


@pytest.mark.parametrize(
    ("spoil", "more", "status", "code"),
    [
        (lambda data: data[: len(data) // 2], {}, 422, "invalid_image"),
        (lambda data: b"", {}, 422, "invalid_image"),
        (lambda data: data, {"query": "?name=../up"}, 400, "bad_request"),
        (lambda data: data, {"content_type": "application/json"}, 415, "unsupported_media_type"),
        (lambda data: data, {"content_type": "multipart/form-data; boundary=x"}, 400, "bad_request"),
        (lambda data: data, {"content_type": "multipart/form-data"}, 400, "bad_request"),
        (lambda data: data, {"headers": {"Content-Encoding": "gzip"}}, 400, "bad_request"),
        (lambda data: data + bytes(100_000), {}, 413, "too_large"),
    ],
    ids=["cut off", "empty", "name", "type", "form without file", "form without boundary", "no gzip", "too large"],
)
def test_images_that_are_refused_leave_nothing_behind(
    publisher: APIClient,
    relief: Tileset,
    strip: bytes,
    settings: Any,
    spoil: Callable[[bytes], bytes],
    more: dict[str, Any],
    status: int,
    code: str,
) -> None:
    settings.GEOSTREAM_MAX_IMAGERY_BYTES = 100_000
    answer = paint(publisher, spoil(strip), **more)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert list(imagery_folder("relief").rglob("*.tif")) == []
    assert told("relief") == []


def test_imagery_is_not_painted_over_pushed_tiles(publisher: APIClient, radar: Tileset, strip: bytes) -> None:
    answer = publisher.post(f"{RADAR}imagery", strip, content_type="image/tiff")
    assert (answer.status_code, answer.json()["code"]) == (409, "wrong_tileset_kind")


def test_a_layer_is_not_shown_by_who_may_not_read_it(user_with: Callable[..., APIClient], redis: None) -> None:
    Layer.objects.create(name="secret", public=False)
    made = {"name": "open", "kind": "layer", "source": "secret"}
    refused = user_with("add_tileset").post("/api/tilesets/", made, format="json")
    assert (refused.status_code, refused.json()["code"]) == (404, "unknown_layer")
    assert not Tileset.objects.exists()
    assert user_with("add_tileset", "view_layer").post("/api/tilesets/", made, format="json").status_code == 201


def test_whether_a_file_is_there_is_not_told_of_other_folders(user_with: Callable[..., APIClient]) -> None:
    mapmaker = user_with("add_tileset")
    made = {"name": "open", "kind": "mbtiles"}
    told = [
        mapmaker.post("/api/tilesets/", {**made, "source": path}, format="json").json()["message"] for path in ("/etc/hosts", "/etc/no")
    ]
    assert told[0].replace("hosts", "no") == told[1]
