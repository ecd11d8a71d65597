"""Tiles do not pass through Django's middleware, and nobody can tell: permissions, CORS, tags and 304 are as they were."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from rest_framework_simplejwt.tokens import AccessToken

import streaming
from streaming.api.authentication import user_cache
from streaming.engine.runtime import Runtime
from streaming.models import Tileset

from .test_fast_publish import request

RELIEF = str(Path(streaming.__path__[0]) / "demo" / "relief.tif")
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
