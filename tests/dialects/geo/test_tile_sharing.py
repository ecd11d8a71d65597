"""One rendering for all who wait, none for those who have gone, and never an old one after a new one."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest

from streaming.core.errors import StreamError
from streaming.tiles.change_feed import ChangedArea, announce
from streaming.tiles.grid import Tile
from streaming.tiles.sources.raster import RasterSource
from streaming.tiles.tile_cache import RenderedTile
from streaming.tiles.tile_renderer import close_tile_renderer
from streaming.tiles.tile_updates import TileUpdate, smallest_update
from streaming.tiles.tile_viewport import MAX_REQUESTED, TileViewport
from tests.geo_peer import GeoPeer
from tests.tiles.conftest import plain, write_raster

from .tile_peers import add, burst, coords, repaint, subscribe

Geo = Callable[..., GeoPeer]


class Press:
    """Renderings of rasters, counted, and held back while `gate` is closed."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.rendered: Counter[Tile] = Counter()
        self.gate = threading.Event()
        self.gate.set()
        self.broken: set[Tile] = set()
        self.slow: set[Tile] = set()
        render = RasterSource.render

        def counted(source: RasterSource, z: int, x: int, y: int) -> bytes | None:
            made = render(source, z, x, y)
            self.rendered[Tile(z, x, y)] += 1
            if not self.slow or Tile(z, x, y) in self.slow:
                assert self.gate.wait(10)
            if Tile(z, x, y) in self.broken:
                raise StreamError("invalid_source", "a block cannot be read")
            return made

        monkeypatch.setattr(RasterSource, "render", counted)

    async def at_work(self, count: int = 1) -> None:
        """Wait until so many renderings have begun."""
        async with asyncio.timeout(10):
            while self.rendered.total() < count:
                await asyncio.sleep(0.005)


@pytest.fixture
def press(monkeypatch: pytest.MonkeyPatch, red: Path, settings: object) -> Iterator[Press]:
    settings.GEOSTREAM_TILE_THREADS = 1  # type: ignore[attr-defined]
    close_tile_renderer()
    made = Press(monkeypatch)
    yield made
    made.gate.set()


async def test_each_tile_is_rendered_once_for_all_viewers(geo: Geo, red: Path, press: Press) -> None:
    await add("red", red)
    peers = [geo() for _ in range(5)]
    for peer in peers:
        await subscribe(peer)
        await burst(peer)
    repaint(red, 0, 0, 255)
    await announce("red", ChangedArea())
    for peer in peers:
        assert len(await burst(peer)) == 3
    assert set(press.rendered.values()) == {2}


async def test_delta_names_that_mean_nothing_make_no_deltas_of_their_own(geo: Geo, red: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[frozenset[str]] = []

    def counted(old: RenderedTile, new: RenderedTile, offered: frozenset[str]) -> TileUpdate:
        made.append(offered)
        return smallest_update(old, new, offered)

    monkeypatch.setattr("streaming.tiles.live_tileset.smallest_update", counted)
    await add("red", red)
    peers = [geo() for _ in range(3)]
    for number, peer in enumerate(peers):
        await subscribe(peer, (0, 1), delta=["xor+zstd", f"unknown-{number}"])
        await burst(peer)
    repaint(red, 0, 255, 0)
    await announce("red", ChangedArea())
    for peer in peers:
        (tile,) = await burst(peer)
        assert tile["encoding"] == "xor+zstd"
    assert made == [frozenset({"xor+zstd"})]


async def test_what_left_the_view_is_not_rendered(geo: Geo, red: Path, press: Press) -> None:
    await add("red", red)
    peer = geo()
    press.gate.clear()
    await subscribe(peer, zooms=(5, 6), bbox=[0.1, 45, 19, 59])
    await press.at_work()
    await peer.ask(type="update_subscription", subscription_id="t", bbox=[1, 41, 2, 42])
    press.gate.set()
    tiles = await burst(peer)
    assert coords(tiles) == [(5, 16, 11)]
    assert len(press.rendered) <= 2


async def test_who_hangs_up_is_not_rendered_for(geo: Geo, red: Path, press: Press) -> None:
    await add("red", red)
    peer, other = geo(), geo()
    press.gate.clear()
    await subscribe(peer, zooms=(5, 6), bbox=[0.1, 45, 19, 59])
    await press.at_work()
    await peer.close()
    press.gate.set()
    await subscribe(other, zooms=(0, 1))
    await burst(other)
    assert len(press.rendered) == 2


async def test_who_comes_after_a_change_does_not_get_what_was_rendered_before(
    geo: Geo, red: Path, press: Press, settings: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.GEOSTREAM_TILE_THREADS = 2  # type: ignore[attr-defined]
    close_tile_renderer()
    await add("red", red)
    early, late, fresh = geo(), geo(), geo()
    press.gate.clear()
    await subscribe(early, zooms=(0, 1))
    await press.at_work()
    refreshed = asyncio.Event()
    mark_changed = TileViewport.mark_changed

    def touched(view: TileViewport, tiles: Iterable[Tile]) -> None:
        mark_changed(view, tiles)
        refreshed.set()

    monkeypatch.setattr(TileViewport, "mark_changed", touched)
    repaint(red, 0, 0, 255)
    await announce("red", ChangedArea())
    await asyncio.wait_for(refreshed.wait(), 10)
    await subscribe(late, zooms=(0, 1))
    press.gate.set()
    shown = [(await burst(peer))[-1]["version"] for peer in (early, late)]
    await subscribe(fresh, zooms=(0, 1))
    assert shown == [(await burst(fresh))[0]["version"]] * 2


async def test_a_tile_that_cannot_be_rendered_is_told_and_the_others_come(geo: Geo, red: Path, press: Press) -> None:
    await add("red", red)
    press.broken = {Tile(1, 1, 0)}
    peer = geo()
    await subscribe(peer)
    messages = [await peer.next() for _ in range(4)]
    assert [message["type"] for message in messages] == ["tile_data", "error", "tile_data", "tiles_ready"]
    assert messages[1]["code"] == "invalid_source"
    assert messages[1]["request_id"] is None
    press.broken = set()
    await announce("red", ChangedArea(tiles=frozenset(press.rendered)))
    assert coords(await burst(peer)) == [(1, 1, 0)]


async def test_many_broken_tiles_are_told_once(geo: Geo, red: Path, press: Press) -> None:
    write_raster(red, plain(255, 0, 0), (-180.0, -85.0, 180.0, 85.0))
    await add("red", red)
    press.broken = {Tile(3, x, y) for x in range(8) for y in range(8)}
    peer = geo()
    await subscribe(peer, zooms=(3, 4), bbox=[-180, -85, 180, 85])
    assert [(await peer.next())["type"] for _ in range(2)] == ["error", "tiles_ready"]


async def test_a_tile_that_takes_long_does_not_keep_the_others_waiting(geo: Geo, red: Path, press: Press, settings: object) -> None:
    settings.GEOSTREAM_TILE_THREADS = 2  # type: ignore[attr-defined]
    close_tile_renderer()
    await add("red", red)
    press.slow = {Tile(0, 0, 0)}
    press.gate.clear()
    peer = geo()
    await subscribe(peer)
    others = [await peer.next() for _ in range(2)]
    assert coords(others) == [(1, 1, 0), (2, 2, 1)]
    press.gate.set()
    assert coords(await burst(peer)) == [(0, 0, 0)]


async def test_a_rendering_that_never_ends_is_given_up(geo: Geo, red: Path, press: Press, settings: object) -> None:
    settings.GEOSTREAM_TILE_SECONDS = 0.1  # type: ignore[attr-defined]
    await add("red", red)
    press.gate.clear()
    peer = geo()
    await subscribe(peer, zooms=(0, 1))
    assert ((await peer.next())["code"], (await peer.next())["type"]) == ("invalid_source", "tiles_ready")


async def test_many_subscriptions_of_one_connection_ask_for_no_more_than_one(geo: Geo, red: Path, press: Press) -> None:
    await add("red", red)
    greedy, modest = geo(), geo()
    press.gate.clear()
    for number in range(10):
        await subscribe(greedy, zooms=(5, 6), bbox=[0.1, 45, 19, 59], tile_size=512, subscription_id=f"t{number}")
    await press.at_work()
    await subscribe(modest, zooms=(0, 1))
    press.gate.set()
    await burst(modest)
    assert press.rendered.total() <= MAX_REQUESTED + 2
