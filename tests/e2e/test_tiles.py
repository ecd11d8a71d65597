"""Tiles through whole servers: what one process is given, viewers of another see; what changed while nobody looked is right afterwards."""

from __future__ import annotations

import asyncio
import io
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from streaming.client import GeoStreamClient
from streaming.dialects.geo.codec import Encoding
from streaming.dialects.geo.messages import Ack, Compression, MessageFormat, SubscribeTiles, TileData, ZoomRange
from streaming.tiles.sources.raster import RasterSource
from tests.geo_peer import point
from tests.profiles import LONG
from tests.server_process import ServerProcess
from tests.tiles.conftest import EUROPE, plain, write_raster

from .conftest import Serve
from .sockets import BareSocket, GeoSocket
from .test_slow_reader import megabytes

WORLD = (-180.0, -85.0, 180.0, 85.0)
SECONDS = 15.0


@pytest.fixture(scope="module")
def roots(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("sources")


@pytest.fixture(scope="module")
def pair(serve: Serve, roots: Path) -> tuple[ServerProcess, ServerProcess]:
    settings = {"GEOSTREAM_TILE_ROOTS": str(roots), "GEOSTREAM_DEFAULT_TILESET": "whole"}
    return serve(**settings), serve(**settings)


def png(*colour: int, size: int = 256, noise: int = 0) -> bytes:
    """One colour everywhere, but for some noise."""
    pixels = np.full((size, size, 3), colour, np.uint8)
    pixels[:noise, :noise] = np.random.default_rng(noise).integers(0, 255, (noise, noise, 3))
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def create(server: ServerProcess, name: str, **settings: Any) -> None:
    status, answer = server.post("/api/tilesets/", {"name": name, **settings})
    assert status == 201, answer


def push(server: ServerProcess, name: str, tile: str, data: bytes) -> Any:
    status, answer = server.request("PUT", f"/api/tilesets/{name}/tiles/{tile}", data, "image/png")
    assert status in (200, 201), answer
    return answer


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(SECONDS):
        while not condition():
            await asyncio.sleep(0.02)


def colour_of(tiles: Any, coords: tuple[int, int, int]) -> tuple[int, ...]:
    tile = tiles.tiles.get(coords)
    return () if tile is None else tuple(tile.array[150, 50, :3].tolist())


@pytest.mark.long_form(only=True)
async def test_a_push_to_one_process_reaches_viewers_of_the_other(pair: tuple[ServerProcess, ServerProcess]) -> None:
    here, there = pair
    create(here, "pushes", kind="pushed")
    async with GeoStreamClient(there.ws_url) as client:
        tiles = await client.subscribe_tiles(WORLD, (0, 2), tileset="pushes")
        await tiles.ready()
        assert tiles.tiles == {}
        push(here, "pushes", "1/0/1", png(255, 0, 0))
        tile = await asyncio.wait_for(anext(tiles), SECONDS)
        assert (tile.coords, tile.mime_type, tile.encoding) == ((0, 1, 1), "image/png", None)
        assert colour_of(tiles, (0, 1, 1)) == (255, 0, 0)


async def test_a_delta_of_a_push_makes_the_pushed_pixels(pair: tuple[ServerProcess, ServerProcess]) -> None:
    here, there = pair
    create(here, "deltas", kind="pushed")
    push(here, "deltas", "0/0/0", png(1, 2, 3, noise=100))
    async with GeoStreamClient(there.ws_url, format="MessagePack") as client:
        tiles = await client.subscribe_tiles(WORLD, (0, 1), tileset="deltas")
        await tiles.ready()
        first = await anext(tiles)
        answer = push(here, "deltas", "0/0/0", (pushed := png(1, 2, 3, noise=101)))
        second = await asyncio.wait_for(anext(tiles), SECONDS)
        assert second.encoding in ("xor+zstd", "patch+webp")
        assert second.received < len(pushed)
        assert second.version == answer["version"] != first.version
        assert np.array_equal(second.array[..., :3], np.asarray(Image.open(io.BytesIO(pushed))))


async def test_imagery_painted_in_one_process_is_seen_in_the_other(pair: tuple[ServerProcess, ServerProcess], roots: Path) -> None:
    here, there = pair
    base = write_raster(roots / "base.tif", plain(0, 90, 0), EUROPE)
    create(here, "painted", kind="raster", source=str(base), max_zoom=6)
    async with GeoStreamClient(there.ws_url) as client:
        tiles = await client.subscribe_tiles(EUROPE, (4, 5), tileset="painted")
        await tiles.ready()
        before = dict(tiles.tiles)
        image = write_raster(roots / "new.tif", plain(200, 0, 0), (2.0, 50.0, 4.0, 52.0))
        status, answer = here.post("/api/tilesets/painted/imagery", image.read_bytes(), content_type="image/tiff")
        assert status == 201, answer
        await until(lambda: any(tile.version != before[key].version for key, tile in tiles.tiles.items()))  # type: ignore[index]
        await tiles.ready()
        changed = {key for key, tile in tiles.tiles.items() if tile.version != before[key].version}  # type: ignore[index]
        assert changed == {(8, 5, 4)}
        source = RasterSource([base, image])
        assert np.array_equal(tiles.tiles[8, 5, 4].array.transpose(2, 0, 1), source.pixels(4, 8, 5))  # type: ignore[union-attr]
        source.close()


async def test_features_published_in_one_process_are_in_the_tiles_of_the_other(pair: tuple[ServerProcess, ServerProcess]) -> None:
    import mapbox_vector_tile

    here, there = pair
    assert here.post("/api/layers/", {"name": "cars"})[0] == 201
    create(here, "cars", kind="layer", source="cars")
    async with GeoStreamClient(there.ws_url) as client:
        tiles = await client.subscribe_tiles((0, 40, 20, 60), (3, 4), tileset="cars")
        await tiles.ready()
        here.publish("cars", point(1, 10, 50, speed=7))
        tile = await asyncio.wait_for(anext(tiles), SECONDS)
        (feature,) = mapbox_vector_tile.decode(tile.data)["cars"]["features"]
        assert (feature["id"], feature["properties"]) == (1, {"speed": 7})
        here.request("DELETE", "/api/layers/cars/features/1")
        assert (await asyncio.wait_for(anext(tiles), SECONDS)).empty
        assert tiles.tiles == {}


async def test_a_replaced_file_is_seen_within_a_second(pair: tuple[ServerProcess, ServerProcess], roots: Path) -> None:
    here, _ = pair
    path = write_raster(roots / "watched.tif", plain(0, 0, 90), EUROPE)
    create(here, "watched", kind="raster", source=str(path), max_zoom=3)
    async with GeoStreamClient(here.ws_url) as client:
        tiles = await client.subscribe_tiles((5, 50, 6, 51), (3, 4), tileset="watched")
        await tiles.ready()
        await anext(tiles)
        write_raster(roots / "next.tif", plain(90, 0, 0), EUROPE).replace(path)
        replaced = time.monotonic()
        await asyncio.wait_for(anext(tiles), SECONDS)
        print(f"{time.monotonic() - replaced:.2f} s")
        assert colour_of(tiles, (4, 2, 3)) == (90, 0, 0)


async def test_what_changed_while_a_client_was_away_is_right_after_it_resumed(
    pair: tuple[ServerProcess, ServerProcess],
) -> None:
    here, lost = pair
    create(here, "away", kind="pushed")
    for x in range(4):
        push(here, "away", f"2/{x}/1", png(x, 0, 0))
    async with GeoStreamClient(lost.ws_url) as client:
        tiles = await client.subscribe_tiles(WORLD, (2, 3), tileset="away")
        await tiles.ready()
        received = [await anext(tiles) for _ in range(4)]
        lost.kill()
        push(here, "away", "2/1/1", png(99, 0, 0))
        push(here, "away", "2/1/2", png(98, 0, 0))
        assert here.request("DELETE", "/api/tilesets/away/tiles/2/3/1")[0] == 204
        lost.start()
        again = {tile.coords: tile for tile in [await asyncio.wait_for(anext(tiles), 30) for _ in range(3)]}
        assert again.keys() == {(1, 1, 2), (1, 2, 2), (3, 1, 2)}
        await tiles.ready()
        assert colour_of(tiles, (1, 1, 2)) == (99, 0, 0)
        assert colour_of(tiles, (0, 1, 2)) == (0, 0, 0)
        assert (3, 1, 2) not in tiles.tiles
        assert {tile.version for tile in received} & {tile.version for tile in again.values()} == set()


@pytest.mark.parametrize("command", ["serve", "runserver"])
@pytest.mark.parametrize("compression", list(Compression))
@pytest.mark.parametrize("format", list(MessageFormat))
@pytest.mark.parametrize("positional", [False, True], ids=["map", "positional"])
def test_tiles_come_in_every_encoding(
    served: dict[str, ServerProcess], command: str, format: MessageFormat, compression: Compression, positional: bool
) -> None:
    server = served[command]
    with GeoSocket(server.ws_url, Encoding.of(MessageFormat.MESSAGE_PACK, Compression.NONE, positional=positional)) as socket:
        socket.handshake(format, compression)
        answer = socket.ask(SubscribeTiles("t", WORLD, ZoomRange(0, 1), 256, tileset=None if positional else "whole"))
        assert isinstance(answer, Ack) and answer.success, answer
        tile = socket.next()
        assert isinstance(tile, TileData)
        assert (tile.tile, tile.mime_type, tile.content) == ((0, 0, 0), "image/png", png(5, 6, 7))
        if socket.encoding.positional:
            assert isinstance(tile.data, list)


@pytest.fixture(scope="module")
def served(serve: Serve, pair: tuple[ServerProcess, ServerProcess]) -> dict[str, ServerProcess]:
    servers = {"serve": pair[0], "runserver": serve("runserver", GEOSTREAM_DEFAULT_TILESET="whole")}
    create(servers["serve"], "whole", kind="pushed")
    push(servers["serve"], "whole", "0/0/0", png(5, 6, 7))
    return servers


ROUNDS = 100 if LONG else 18
MORE_MEGABYTES = 30 if LONG else 15
"""Of the 1.6 of each round."""


@pytest.mark.long_form(only=True)
@pytest.mark.slow
@pytest.mark.long_form
def test_a_viewer_that_does_not_read_costs_little_and_sees_the_last_version(serve: Serve) -> None:
    server = serve(data="slow-tiles")
    create(server, "busy", kind="pushed")
    numbers = np.random.default_rng(3)

    def round() -> None:
        for x in range(8):
            pixels = numbers.integers(0, 255, (256, 256, 3), np.uint8)
            Image.fromarray(pixels).save(file := io.BytesIO(), "PNG", compress_level=0)
            versions[x] = push(server, "busy", f"3/{x}/3", file.getvalue())["version"]

    versions: dict[int, str] = {}
    round()
    slow = BareSocket(server.port, receive_buffer=4096)
    with slow.tcp:
        zooms = {"start": 3, "end": 4}
        request = {"type": "subscribe_tiles", "subscription_id": "t", "bbox": WORLD, "zoom_range": zooms, "tileset": "busy"}
        slow.send(json.dumps({**request, "data_encoding": "base64"}).encode())
        assert json.loads(slow.frame()[1])["success"]
        for _ in range(5):
            round()
        before = megabytes(server)
        for _ in range(ROUNDS):
            round()
        growth = megabytes(server) - before
        print(f"memory: {growth:+.0f} MB")
        assert growth < MORE_MEGABYTES
        held: dict[int, str] = {}
        messages = 0
        while held != versions:
            tile = json.loads(slow.frame()[1])
            held[tile["tile"][0]] = tile["version"]
            messages += 1
    print(f"messages: {messages}")
    assert messages < 8 * ROUNDS / 4
