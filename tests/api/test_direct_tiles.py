"""Tiles do not pass through Django's middleware, and nobody can tell: permissions, CORS, tags and 304 are as they were."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from rest_framework_simplejwt.tokens import AccessToken

import streaming
from streaming import apublish
from streaming.api.authentication import user_cache
from streaming.api.tiles import TileView
from streaming.core.errors import StreamError
from streaming.engine.runtime import Runtime
from streaming.models import Tileset
from streaming.tiles.live_tilesets import LiveTilesets
from streaming.tiles.tilesets import tilesets
from tests.geo_peer import point
from tests.tiles.conftest import plain, write_raster

from .test_fast_publish import request

RELIEF = str(Path(streaming.__path__[0]) / "demo" / "relief.tif")
EUROPEAN = "/tiles/relief/2/2/1.png"
TILE, JSON = "/tiles/relief/1/0/0.png", "/tiles/relief/tilejson.json"


@pytest.fixture
async def relief(runtime: Runtime, settings: Any) -> Tileset:
    user_cache.clear()
    settings.GEOSTREAM_TILE_ROOTS = str(Path(RELIEF).parent)
    return await Tileset.objects.acreate(name="relief", kind="raster", source=RELIEF)


async def private(relief: Tileset) -> str:
    """Make it private; returns what an administrator's token is."""
    relief.public = False
    await relief.asave()
    admin = await User.objects.acreate(username="admin", is_superuser=True)
    return f"Bearer {AccessToken.for_user(admin)}"


@pytest.mark.parametrize("path", [TILE, JSON, "/tiles/relief/1/0/0.webp"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("headers", [{}, {"cookie": "sessionid=x; csrftoken=y"}])
async def test_a_public_tileset_takes_the_short_way(relief: Tileset, path: str, method: str, headers: dict[str, str]) -> None:
    answer = await request(method, path, **headers)
    assert (answer.status, answer.through_middleware) == (200, False)
    assert answer.headers["access-control-allow-origin"] == "*"
    assert answer.headers["x-content-type-options"] == "nosniff"


async def test_a_tile_that_is_known_is_not_sent_again(relief: Tileset) -> None:
    tag = (await request("GET", TILE)).headers["etag"]
    answer = await request("GET", TILE, if_none_match=tag)
    assert (answer.status, answer.length, answer.headers["etag"], answer.through_middleware) == (304, 0, tag, False)


@pytest.mark.parametrize(
    ("path", "status", "code"), [("/tiles/relief/1/9/0.png", 404, "unknown_tile"), ("/tiles/nothing/1/0/0.png", 404, "unknown_tileset")]
)
async def test_refusals_are_the_same(relief: Tileset, path: str, status: int, code: str) -> None:
    answer = await request("GET", path)
    assert (answer.status, answer.body["code"]) == (status, code)


async def test_a_private_tileset_is_read_with_a_token_by_the_short_way(relief: Tileset) -> None:
    token = await private(relief)
    answer = await request("GET", TILE, authorization=token)
    assert (answer.status, answer.through_middleware, answer.headers["cache-control"]) == (200, False, "private, no-cache")
    assert (await request("GET", TILE)).status != 200
    assert (await request("GET", TILE, authorization="Bearer rubbish")).status == 401


async def test_who_may_have_a_session_takes_the_long_way_to_a_private_tileset(relief: Tileset) -> None:
    await private(relief)
    assert (await request("GET", TILE, cookie="sessionid=x")).through_middleware


@pytest.mark.parametrize("path", ["/live" + TILE, "/live" + JSON])
async def test_the_short_way_is_found_under_a_prefix(relief: Tileset, settings: Any, path: str) -> None:
    settings.ROOT_URLCONF = "tests.other_project.urls"
    answer = await request("GET", path)
    assert (answer.status, answer.through_middleware) == (200, False)


async def test_other_paths_and_methods_go_to_django(relief: Tileset) -> None:
    for method, path in [("GET", "/tiles/relief/1/0/0.gif"), ("GET", "/tiles/"), ("OPTIONS", TILE), ("GET", "/api/tilesets/")]:
        assert (await request(method, path)).through_middleware, (method, path)


async def test_a_host_that_is_not_allowed_is_refused(relief: Tileset) -> None:
    assert (await request("GET", TILE, host="evil.example.org")).status == 400


# -- tiles that the process holds, answered without a view ------------------------------------------------


@pytest.fixture
def no_view(monkeypatch: pytest.MonkeyPatch, settings: Any) -> Callable[[], None]:
    """From when it is called, whatever the view is asked for fails. What is in the database is believed for a minute.

    Ask for it first: the notices of what is saved come late.
    """
    settings.GEOSTREAM_AUTH_CACHE_SECONDS = settings.GEOSTREAM_TILE_CHECK_SECONDS = 60
    monkeypatch.setattr(Runtime, "access_changed", lambda runtime: None)

    def forbid() -> None:
        async def get(*args: Any, **kwargs: Any) -> None:
            raise StreamError("internal", "the view was asked")

        monkeypatch.setattr(TileView, "get", get)

    return forbid


@pytest.mark.parametrize("allowed", ["", "*", "https://maps.example.org"])
@pytest.mark.parametrize("headers", [{}, {"origin": "https://maps.example.org"}, {"if_none_match": "*"}, {"cookie": "sessionid=x"}])
async def test_a_held_tile_is_answered_as_the_view_does(
    no_view: Any, relief: Tileset, settings: Any, allowed: str, headers: dict[str, str]
) -> None:
    settings.GEOSTREAM_ALLOWED_ORIGINS = allowed
    requests = [(method, path) for method in ("GET", "HEAD") for path in (TILE, "/tiles/relief/1/0/0.webp")]
    slow = [await request(*each, **headers, query=f"version={number}") for number, each in enumerate(requests)]
    for each in requests:
        await request(*each)
    no_view()
    quick = [await request(*each, **headers) for each in requests]
    assert [(each.status, each.headers) for each in quick] == [(each.status, each.headers) for each in slow]
    assert quick[0].body == slow[0].body


async def test_an_empty_vector_tile_is_answered_as_the_view_does(no_view: Any, runtime: Runtime) -> None:
    await apublish("l", point("a", 8, 47))
    await Tileset.objects.acreate(name="vectors", kind="layer", source="l")
    slow = await request("GET", "/tiles/vectors/2/0/0.mvt")
    no_view()
    quick = await request("GET", "/tiles/vectors/2/0/0.mvt")
    assert (quick.status, quick.headers) == (slow.status, slow.headers) == (204, slow.headers)


@pytest.mark.parametrize("headers", [{}, {"if_none_match": "*"}])
async def test_a_vector_tile_is_gzip_for_who_takes_that(no_view: Any, runtime: Runtime, headers: dict[str, str]) -> None:
    await apublish("l", [point(id, 8, 47, name=f"vehicle {id}") for id in range(100)])
    await Tileset.objects.acreate(name="vectors", kind="layer", source="l")
    plain_one = await request("GET", "/tiles/vectors/2/2/1.mvt")
    slow = await request("GET", "/tiles/vectors/2/2/1.mvt", accept_encoding="br, gzip", **headers)
    no_view()
    quick = await request("GET", "/tiles/vectors/2/2/1.mvt", accept_encoding="br, gzip", **headers)
    assert (quick.status, quick.headers, quick.body) == (slow.status, slow.headers, slow.body)
    assert quick.headers["etag"] == f"W/{plain_one.headers['etag']}"
    assert "Accept-Encoding" in quick.headers["vary"] and "Accept-Encoding" in plain_one.headers["vary"]
    assert quick.status == 304 or (quick.headers["content-encoding"], gzip.decompress(quick.body)) == ("gzip", plain_one.body)
    assert (await request("GET", "/tiles/vectors/2/2/1.mvt", accept_encoding="gzip;q=0")).headers["etag"] == plain_one.headers["etag"]


@pytest.mark.parametrize("headers", [{"host": "evil.example.org"}, {"authorization": "Bearer rubbish"}])
async def test_what_is_not_certain_is_asked_of_the_view(no_view: Any, relief: Tileset, headers: dict[str, str]) -> None:
    await request("GET", TILE)
    no_view()
    assert (await request("GET", TILE)).status == 200
    assert (await request("GET", TILE, **headers)).status in (400, 401)


async def test_a_tileset_that_is_no_longer_public_is_not_answered(relief: Tileset) -> None:
    await request("GET", TILE)
    await private(relief)
    assert (await request("GET", TILE)).status == 404


async def test_a_tile_in_zooms_that_were_taken_away_is_not_answered(relief: Tileset) -> None:
    await request("GET", TILE)
    relief.min_zoom = 2
    await relief.asave()
    assert (await request("GET", TILE)).status == 404


async def test_a_source_that_has_to_be_looked_at_is(no_view: Any, relief: Tileset, settings: Any) -> None:
    settings.GEOSTREAM_TILE_CHECK_SECONDS = 0.0
    await request("GET", TILE)
    no_view()
    assert (await request("GET", TILE)).status == 500


# -- versions of notices, and layers that are followed ----------------------------------------------------


@pytest.fixture
async def vehicles(runtime: Runtime, settings: Any) -> str:
    settings.GEOSTREAM_TILE_REFRESH_SECONDS = 0.0
    await apublish("l", point("a", 8, 47))
    await Tileset.objects.acreate(name="vehicles", kind="layer", source="l")
    return "/tiles/vehicles/2/2/1.mvt"


async def test_a_version_that_is_not_known_makes_it_catch_up(vehicles: str) -> None:
    before = await request("GET", vehicles)
    await apublish("l", point("a", 10, 48))
    assert (await request("GET", vehicles, query="version=other")).headers["etag"] != before.headers["etag"]


async def test_a_version_that_was_reached_needs_no_view(no_view: Any, vehicles: str) -> None:
    await request("GET", vehicles, query="version=other")
    no_view()
    assert (await request("GET", vehicles, query="version=other")).status == 200
    assert (await request("GET", vehicles, query="version=another")).status == 500


async def test_a_version_makes_a_file_be_looked_at(relief: Tileset, settings: Any, tmp_path: Path) -> None:
    settings.GEOSTREAM_TILE_ROOTS, settings.GEOSTREAM_TILE_CHECK_SECONDS = str(tmp_path), 60.0
    path = write_raster(tmp_path / "r.tif", plain(200, 0, 0))
    relief.source = str(path)
    await relief.asave()
    before = (await request("GET", EUROPEAN)).headers["etag"]
    write_raster(path, plain(0, 200, 0))
    assert (await request("GET", EUROPEAN)).headers["etag"] == before
    assert (await request("GET", EUROPEAN, query="version=other")).headers["etag"] != before


async def test_a_layer_is_followed_while_its_tiles_are_fetched(vehicles: str, runtime: Runtime, settings: Any) -> None:
    settings.GEOSTREAM_TILE_FOLLOW_SECONDS = 0.2
    await request("GET", vehicles)
    live = runtime.service(LiveTilesets).live
    assert [each.settings.name for each in live.values()] == ["vehicles"]
    async with asyncio.timeout(5):
        while live:
            await asyncio.sleep(0.05)
    assert (await request("GET", vehicles)).status == 200


async def test_a_layer_that_is_followed_is_shown_with_other_settings(vehicles: str, runtime: Runtime) -> None:
    await request("GET", vehicles)
    await Tileset.objects.filter(name="vehicles").aupdate(max_zoom=1)
    tilesets.clear()
    assert (await request("GET", vehicles)).status == 404
    await apublish("l", point("a", 10, 48))
    (live,) = runtime.service(LiveTilesets).live.values()
    await live.catch_up()
    assert live.settings.max_zoom == 1
    assert (await request("GET", vehicles)).status == 404
