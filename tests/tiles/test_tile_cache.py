"""Tiles are rendered once for all callers, kept within a limit, and forgotten when they change."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Collection, Iterator
from hashlib import blake2b

import pytest

from streaming.core.errors import StreamError
from streaming.tiles.change_feed import ChangedArea
from streaming.tiles.grid import WORLD, Tile
from streaming.tiles.sources.base import TileMetadata
from streaming.tiles.tile_cache import ENTRY_BYTES, TileCache


class Press:
    """A source that counts what it renders and can be held back."""

    metadata = TileMetadata(WORLD, 0, 20, "png")

    def __init__(self) -> None:
        self.rendered: list[Tile] = []
        self.content = b"first"
        self.open = threading.Event()
        self.open.set()
        self.entered = threading.Event()

    def render(self, z: int, x: int, y: int) -> bytes | None:
        self.rendered.append(Tile(z, x, y))
        content = self.content
        self.entered.set()
        assert self.open.wait(10)
        if content == b"broken":
            raise StreamError("invalid_source", "the file is broken")
        return None if content == b"nothing" else content

    def close(self) -> None:
        pass


@pytest.fixture
def press() -> Iterator[Press]:
    made = Press()
    yield made
    made.open.set()


@pytest.fixture
async def cache() -> AsyncIterator[TileCache]:
    made = TileCache(threads=1, cache_bytes=10_000)
    yield made
    made.close()


ROOT = Tile(0, 0, 0)


async def entered(press: Press) -> None:
    assert await asyncio.to_thread(press.entered.wait, 10)


async def test_a_tile_is_known_by_the_hash_of_its_bytes(cache: TileCache, press: Press) -> None:
    tile = await cache.get("t", lambda: press, ROOT)
    assert tile == (b"first", "image/png", blake2b(b"first", digest_size=16).hexdigest())


async def test_a_tile_is_rendered_once_for_all_callers(cache: TileCache, press: Press) -> None:
    press.open.clear()
    waiting = [asyncio.create_task(cache.get("t", lambda: press, ROOT)) for _ in range(20)]
    await entered(press)
    press.open.set()
    tiles = await asyncio.gather(*waiting)
    assert press.rendered == [ROOT]
    assert all(tile is tiles[0] for tile in tiles)


async def test_a_rendered_tile_is_kept(cache: TileCache, press: Press) -> None:
    assert await cache.get("t", lambda: press, ROOT) is await cache.get("t", lambda: press, ROOT)
    assert press.rendered == [ROOT]


async def test_an_empty_tile_is_kept_too(cache: TileCache, press: Press) -> None:
    press.content = b"nothing"
    assert await cache.get("t", lambda: press, ROOT) is None
    assert await cache.get("t", lambda: press, ROOT) is None
    assert press.rendered == [ROOT]


async def test_the_tiles_used_longest_ago_make_room(cache: TileCache, press: Press) -> None:
    press.content = bytes(1000)
    tiles = [Tile(10, x, 0) for x in range(20)]
    for tile in tiles:
        await cache.get("t", lambda: press, tile)
        await cache.get("t", lambda: press, tiles[0])
    assert cache.kept_bytes <= 10_000
    assert len(cache) == 10_000 // (1000 + ENTRY_BYTES)
    assert cache.peek("t", tiles[0]) and cache.peek("t", tiles[-1]) and not cache.peek("t", tiles[1])


async def test_a_tile_larger_than_the_limit_is_not_kept(cache: TileCache, press: Press) -> None:
    press.content = bytes(20_000)
    assert await cache.get("t", lambda: press, ROOT)
    assert cache.kept_bytes == len(cache) == 0


async def test_tiles_of_a_changed_area_are_forgotten(cache: TileCache, press: Press) -> None:
    tiles = [Tile(1, x, y) for x in (0, 1) for y in (0, 1)] + [ROOT]
    for tile in tiles:
        await cache.get("t", lambda: press, tile)
        await cache.get("other", lambda: press, tile)
    assert set(cache.invalidate("t", ChangedArea((10, 10, 20, 20)))) == {Tile(1, 1, 0), ROOT}
    assert cache.invalidate("t", ChangedArea((10, 10, 20, 20))) == []
    assert cache.peek("t", Tile(1, 0, 0)) and cache.peek("other", ROOT)


async def test_the_cache_can_be_read_while_a_change_is_compared_with_it(cache: TileCache, press: Press) -> None:
    await cache.get("t", lambda: press, ROOT)

    class Slow(ChangedArea):
        def intersection(self, tiles: Collection[Tile]) -> Collection[Tile]:
            looking.set()
            assert had.wait(10)
            return tiles

    looking, had = threading.Event(), threading.Event()
    invalidating = asyncio.create_task(asyncio.to_thread(cache.invalidate, "t", Slow()))
    await asyncio.to_thread(looking.wait, 10)
    await cache.get("t", lambda: press, ROOT)  # never comes back if the lock is held meanwhile
    had.set()
    assert await invalidating == [ROOT]


async def test_only_the_zooms_that_are_named_are_forgotten(cache: TileCache, press: Press) -> None:
    for tile in (ROOT, Tile(1, 0, 0)):
        await cache.get("t", lambda: press, tile)
    assert cache.invalidate("t", ChangedArea(zooms=range(1, 9))) == [Tile(1, 0, 0)]


async def test_what_was_being_rendered_when_it_changed_is_not_kept(cache: TileCache, press: Press) -> None:
    press.open.clear()
    early = asyncio.create_task(cache.get("t", lambda: press, ROOT))
    await entered(press)
    press.content = b"second"
    cache.invalidate("t")
    late = asyncio.create_task(cache.get("t", lambda: press, ROOT))
    press.open.set()
    assert [(await early or ("",))[0], (await late or ("",))[0]] == [b"first", b"second"]
    kept = cache.peek("t", ROOT)
    assert kept is not None and kept.data == b"second"


async def test_a_tile_that_no_caller_waits_for_is_not_rendered(cache: TileCache, press: Press) -> None:
    press.open.clear()
    first = asyncio.create_task(cache.get("t", lambda: press, ROOT))
    await entered(press)
    second = asyncio.create_task(cache.get("t", lambda: press, Tile(1, 0, 0)))
    await asyncio.sleep(0)
    second.cancel()
    await asyncio.gather(second, return_exceptions=True)
    press.open.set()
    await first
    await cache.get("t", lambda: press, Tile(1, 1, 1))
    assert press.rendered == [ROOT, Tile(1, 1, 1)]
    assert len(cache.pool) == 0


async def test_other_callers_get_the_tile_when_one_is_cancelled(cache: TileCache, press: Press) -> None:
    press.open.clear()
    blocking = asyncio.create_task(cache.get("t", lambda: press, ROOT))
    await entered(press)
    one, other = (asyncio.create_task(cache.get("t", lambda: press, Tile(1, 0, 0))) for _ in range(2))
    await asyncio.sleep(0)
    one.cancel()
    press.open.set()
    await blocking
    assert await other


async def test_the_loop_runs_on_while_a_tile_is_rendered(cache: TileCache, press: Press) -> None:
    press.open.clear()
    waiting = asyncio.create_task(cache.get("t", lambda: press, ROOT))
    await entered(press)
    for _ in range(100):
        await asyncio.sleep(0)
    assert not waiting.done()
    press.open.set()
    assert await waiting


async def test_a_failure_reaches_all_callers_and_is_not_kept(cache: TileCache, press: Press) -> None:
    press.content = b"broken"
    press.open.clear()
    waiting = [asyncio.create_task(cache.get("t", lambda: press, ROOT)) for _ in range(3)]
    await entered(press)
    press.open.set()
    errors = await asyncio.gather(*waiting, return_exceptions=True)
    assert [getattr(error, "code", None) for error in errors] == ["invalid_source"] * 3
    press.content = b"mended"
    assert await cache.get("t", lambda: press, ROOT)


def test_several_event_loops_share_a_rendering(press: Press) -> None:
    cache = TileCache(threads=2, cache_bytes=10_000)
    press.open.clear()
    found: list[object] = []
    threads = [threading.Thread(target=lambda: found.append(asyncio.run(cache.get("t", lambda: press, ROOT)))) for _ in range(3)]
    for thread in threads:
        thread.start()
    assert press.entered.wait(10)
    press.open.set()
    for thread in threads:
        thread.join()
    cache.close()
    assert len(found) == 3 and len(set(found)) == 1
