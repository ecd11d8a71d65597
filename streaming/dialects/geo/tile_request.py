"""Checks of a `subscribe_tiles` message: which tilesets, in which form, and what is kept of it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from msgspec import structs

from streaming.core.errors import StreamError
from streaming.engine.catalogue import readable
from streaming.engine.conf import conf
from streaming.tiles.grid import Tile
from streaming.tiles.tilesets import TilesetSettings, tilesets

from .encoding import Encoding
from .messages import DataEncoding, HeldTile, MessageFormat, SubscribeTiles

RASTER_SIZES = (256, 512)


async def with_tileset(message: SubscribeTiles, user: Any) -> SubscribeTiles:
    """The request with the tileset that it means if it names none.

    That is the site's default one or, without that, the only one that the user may read.
    """
    if message.tileset is not None or conf.DEFAULT_TILESET:
        return message
    candidates = [name for name, tileset in (await tilesets.all()).items() if await readable(tileset, user)]
    return structs.replace(message, tileset=candidates[0]) if len(candidates) == 1 else message


def tileset_names(message: SubscribeTiles) -> list[str]:
    """The tilesets that a request names, each once. `StreamError` if there are none."""
    names = message.tileset if isinstance(message.tileset, list) else [message.tileset or conf.DEFAULT_TILESET]
    if not names or not all(names):
        raise StreamError(
            "unknown_tileset", "name a `tileset`: this site has not exactly one, and no default one (GEOSTREAM_DEFAULT_TILESET)"
        )
    return list(dict.fromkeys(names))


def data_encoding(message: SubscribeTiles, encoding: Encoding) -> DataEncoding:
    """How the bytes of tiles are written in messages of this encoding. `StreamError`."""
    requested = message.data_encoding or DataEncoding.LIST
    packed = encoding.format is not MessageFormat.JSON
    if requested is (DataEncoding.BASE64 if packed else DataEncoding.BIN):
        raise StreamError("bad_request", f"`data_encoding` is {'bin' if packed else 'base64'} or list in {encoding.format.value}")
    return requested


def wants_notices(message: SubscribeTiles) -> bool:
    """Whether the client fetches tiles itself and is only to be told which have changed. `StreamError` for what goes with tiles only."""
    if not message.notices:
        return False
    given = [name for name in ("data_encoding", "delta", "have", "progress") if getattr(message, name)]
    if given or message.tile_size:
        raise StreamError("bad_request", f"with `notices` no tiles are sent: leave out `{(given or ['tile_size'])[0]}`")
    return True


def kept_message(message: SubscribeTiles, names: list[str]) -> SubscribeTiles:
    """The part of a request that is kept for as long as the subscription: each tileset once, and only known deltas.

    It is small then, and clients that also name unknown deltas share theirs with all others.
    """
    from streaming.tiles.deltas import ENCODINGS

    delta = None if message.delta is None else [name for name in ENCODINGS if name in message.delta]
    return structs.replace(message, have=None, delta=delta, tileset=names[0] if isinstance(message.tileset, str) else names)


def with_tile_size(tileset: TilesetSettings, size: int | None) -> TilesetSettings:
    """The tileset in the requested size. Only rasters are rendered in either size; other tiles stay as they are."""
    if not tileset.source_kind.any_image or not size or size == tileset.tile_size:
        return tileset
    if size not in RASTER_SIZES:
        raise StreamError("bad_request", f"`tile_size` is 256 or 512, not {size}")
    return replace(tileset, tile_size=size, variant=f"@{size}")


def held_versions(have: dict[str, list[HeldTile]], tileset: str) -> dict[Tile, str]:
    """The tiles of a tileset that the client holds, with their versions."""
    return {Tile(z, x, y): version for x, y, z, version in have.get(tileset, [])}
