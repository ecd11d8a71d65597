"""What a renderer shows while its sources change and followers come and go: no tile is older than what its viewers were notified of."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from streaming.models import Tileset
from streaming.tiles import tile_renderer as module
from streaming.tiles.change_feed import ChangedArea
from streaming.tiles.grid import Tile
from streaming.tiles.tile_renderer import TileRenderer
from streaming.tiles.tilesets import TilesetSettings, tilesets

from .conftest import write_raster

BOX = (0.0, 40.0, 20.0, 60.0)
WEST, EAST = ChangedArea((0.1, 41.0, 9.9, 59.0)), ChangedArea((12.0, 41.0, 19.9, 59.0))
IN_THE_EAST = Tile(6, 34, 21)


class Held:
    """Calls of a function, in a thread, that wait until they are let go."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function
        self.holds = False
        self.entered, self._gone_on = threading.Event(), threading.Event()

    def __call__(self, *args: Any) -> Any:
        if self.holds:
            self.holds = False
            self.entered.set()
            assert self._gone_on.wait(10)
        return self._function(*args)

    async def entry(self) -> None:
        assert await asyncio.to_thread(self.entered.wait, 10)

    def let_go(self) -> None:
        self._gone_on.set()


@pytest.fixture(params=["_open", "version_of"])
def held(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Held]:
    held = Held(getattr(module, request.param))
    monkeypatch.setattr(module, request.param, held)
    yield held
    held.let_go()


@pytest.fixture
async def renderer() -> AsyncIterator[TileRenderer]:
    renderer = TileRenderer()
    yield renderer
    renderer.close()


def paint(path: Path, value: int) -> None:
    write_raster(path.with_name("next.tif"), np.full((3, 128, 128), value, np.uint8), BOX)
    path.with_name("next.tif").replace(path)


@pytest.fixture
def raster(db: None, tmp_path: Path, settings: Any) -> TilesetSettings:
    settings.GEOSTREAM_TILE_ROOTS = str(tmp_path)
    paint(tmp_path / "r.tif", 10)
    Tileset.objects.create(name="r", kind="raster", source=str(tmp_path / "r.tif"), min_zoom=0, max_zoom=7)
    tilesets.clear()
    return tilesets.get_sync("r")


async def shown(renderer: TileRenderer, tileset: TilesetSettings) -> bytes:
    tile = await renderer.tile(tileset, IN_THE_EAST)
    assert tile is not None
    return tile.data


async def test_who_follows_while_the_source_is_opened_sees_what_was_announced_before(
    renderer: TileRenderer, raster: TilesetSettings, tmp_path: Path, held: Held
) -> None:
    renderer.follow(raster)
    old = await shown(renderer, raster)
    paint(tmp_path / "r.tif", 200)  # east and west; each is announced
    held.holds = True
    opening = asyncio.create_task(renderer.refresh(raster, WEST))
    await held.entry()
    renderer.unfollow(raster)  # the east is announced here
    renderer.follow(raster)
    held.let_go()
    await opening
    await renderer.opened(raster)
    assert await shown(renderer, raster) != old


async def test_who_follows_while_the_source_is_checked_sees_what_was_announced_before(
    renderer: TileRenderer, raster: TilesetSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    renderer.follow(raster)
    old = await shown(renderer, raster)
    paint(tmp_path / "r.tif", 200)
    await renderer.refresh(raster, WEST)  # the east is kept until it is announced
    assert await shown(renderer, raster) == old
    held = Held(module.version_of)
    monkeypatch.setattr(module, "version_of", held)
    held.holds = True
    renderer.reopen("r")
    checking = asyncio.create_task(renderer.opened(raster))
    await held.entry()
    renderer.unfollow(raster)
    renderer.follow(raster)
    again = asyncio.create_task(renderer.opened(raster))
    held.let_go()
    await asyncio.gather(checking, again)
    assert await shown(renderer, raster) != old


async def test_what_is_announced_to_who_follows_is_shown(renderer: TileRenderer, raster: TilesetSettings, tmp_path: Path) -> None:
    renderer.follow(raster)
    old = await shown(renderer, raster)
    paint(tmp_path / "r.tif", 200)
    await renderer.refresh(raster, WEST)
    assert await shown(renderer, raster) == old
    await renderer.refresh(raster, EAST)
    assert await shown(renderer, raster) != old
