"""The base map: its tiles, and what may be shown instead."""

from __future__ import annotations

import gzip
from typing import Any

import mapbox_vector_tile
import pytest
from django.test import AsyncClient, RequestFactory

from streaming.engine import basemap
from streaming.engine.basemap import _version, base_map
from streaming.engine.content_security_policy import policy

LAKE_GENEVA = "/geostream/basemap/6/33/22.mvt"
PACIFIC = "/geostream/basemap/6/2/30.mvt"


async def test_a_tile_has_land_lakes_borders_and_provinces() -> None:
    answer = await AsyncClient().get(LAKE_GENEVA)
    assert set(mapbox_vector_tile.decode(answer.content)) == {"land", "lakes", "borders", "provinces"}


async def test_tiles_are_compressed_and_kept_by_browsers() -> None:
    plain = await AsyncClient().get(LAKE_GENEVA)
    answer = await AsyncClient().get(LAKE_GENEVA, headers={"accept-encoding": "gzip"})
    assert gzip.decompress(answer.content) == plain.content
    assert "immutable" in answer.headers["Cache-Control"] and answer.headers["Vary"] == "Accept-Encoding"


async def test_the_open_sea_is_an_empty_answer() -> None:
    assert (await AsyncClient().get(PACIFIC)).status_code == 204


@pytest.mark.parametrize("place", ["7/0/0", "6/64/0", "0/0/1", "6/0/99999999999999999999"])
async def test_tiles_that_cannot_be_are_not_found(place: str) -> None:
    answer = await AsyncClient().get(f"/geostream/basemap/{place}.mvt")
    assert (answer.status_code, answer.json()["code"]) == (404, "unknown_tile")


def test_pages_are_told_where_the_tiles_are() -> None:
    tiles = base_map()["vector"]
    assert tiles and tiles.startswith("/geostream/basemap/{z}/{x}/{y}.mvt?v=")


def test_raster_tiles_take_its_place_and_pages_may_load_them(settings: Any) -> None:
    settings.GEOSTREAM_BASEMAP = "https://tiles.example.org/{z}/{x}/{y}.png"
    settings.GEOSTREAM_BASEMAP_ATTRIBUTION = "© Example & others"
    found = base_map()
    assert (found["vector"], found["raster"]) == (None, settings.GEOSTREAM_BASEMAP)
    assert found["attribution"] == "© Example &amp; others"
    assert "https://tiles.example.org" in policy(RequestFactory().get("/"))["img-src"]


def test_there_may_be_none(settings: Any) -> None:
    settings.GEOSTREAM_BASEMAP = "none"
    assert (base_map()["vector"], base_map()["raster"]) == (None, None)


def test_without_the_library_of_the_archive_a_page_has_no_base_map(monkeypatch: pytest.MonkeyPatch) -> None:
    _version.cache_clear()
    monkeypatch.setattr(basemap, "find_spec", lambda name: None)
    assert base_map()["vector"] is None
    _version.cache_clear()
