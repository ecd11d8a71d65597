"""Notices of changed tiles over real sockets: what is fetched afterwards from any process has the change."""

from __future__ import annotations

import urllib.request
from collections.abc import Iterator

import mapbox_vector_tile
import pytest

from streaming.dialects.geo.codec import Encoding
from streaming.dialects.geo.messages import Ack, Compression, MessageFormat, SubscribeTiles, TilesChanged, ZoomRange
from tests.geo_peer import point
from tests.server_process import ServerProcess

from .conftest import Serve
from .sockets import GeoSocket
from .test_tiles import create, png, push

WORLD = (-180.0, -85.0, 180.0, 85.0)
CHANGES = 20


@pytest.fixture(scope="module")
def pair(serve: Serve) -> Iterator[tuple[ServerProcess, ServerProcess]]:
    yield serve(), serve()


def listen(socket: GeoSocket, tileset: str, zooms: tuple[int, int]) -> str | None:
    """Returns the version of the ack."""
    ack = socket.ask(SubscribeTiles("n", WORLD, ZoomRange(*zooms), None, tileset=tileset, notices=True))
    assert isinstance(ack, Ack) and ack.success and ack.tilesets, ack
    version = ack.tilesets[tileset].version
    assert isinstance(version, str)
    return version


def notice(socket: GeoSocket) -> TilesChanged:
    message = socket.next()
    assert isinstance(message, TilesChanged), message
    return message


def fetch(server: ServerProcess, path: str, version: str | None = None) -> bytes:
    with urllib.request.urlopen(f"{server.url}{path}" + (f"?version={version}" if version else ""), timeout=10) as answer:
        data: bytes = answer.read()
        return data


@pytest.mark.parametrize("format", [MessageFormat.JSON, MessageFormat.MESSAGE_PACK])
def test_whichever_process_is_asked_has_the_features_of_the_notice(
    pair: tuple[ServerProcess, ServerProcess], format: MessageFormat
) -> None:
    here, there = pair
    layer = f"cars-{format.value.lower()}"
    here.publish(layer, point(1, 10, 50, step=-1))
    create(here, layer, kind="layer", source=layer)
    path = f"/tiles/{layer}/3/4/2.mvt"
    fetch(here, path), fetch(there, path)
    with GeoSocket(there.ws_url, Encoding.of(format, Compression.NONE)) as socket:
        known = listen(socket, layer, (3, 4))
        for step in range(CHANGES):
            here.publish(layer, point(1, 10, 50, step=step))
            told = notice(socket)
            assert (told.tileset, told.tiles, told.version == known) == (layer, [(4, 2, 3)], False)
            known = told.version
            for server in (there, here):
                (feature,) = mapbox_vector_tile.decode(fetch(server, path, told.version))[layer]["features"]
                assert feature["properties"] == {"step": step}
    with GeoSocket(here.ws_url) as other:
        assert listen(other, layer, (3, 4)) == known


def test_a_tile_pushed_to_one_process_is_reported_by_the_other(pair: tuple[ServerProcess, ServerProcess]) -> None:
    here, there = pair
    create(here, "radar", kind="pushed")
    with GeoSocket(there.ws_url) as socket:
        listen(socket, "radar", (0, 4))
        for red in range(1, 4):
            push(here, "radar", "2/1/1", png(red, 0, 0))
            told = notice(socket)
            assert told.tiles == [(1, 1, 2)]
            found = {fetch(server, "/tiles/radar/2/1/1.png", told.version) for server in pair}
            assert found == {png(red, 0, 0)}
