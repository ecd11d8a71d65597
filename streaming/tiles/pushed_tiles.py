"""Pushing tiles: each tile is checked, stored and announced.

A tile is decoded once, within bounds, before it is stored: clients never get a tile that cannot be shown. Storing and
announcing are one atomic step in Redis, so no client misses a stored tile, whatever fails in between. A tile that
equals the stored one is not announced.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Any, Literal, cast

from streaming.core import scripts
from streaming.core.errors import StreamError
from streaming.core.redis import refusing, sync_feed_redis
from streaming.engine.conf import conf

from . import images
from .avif_check import check_avif
from .change_feed import changed_tiles, tiles_feed
from .grid import Tile, tile_exists
from .image_check import check_image
from .mvt_check import check_mvt
from .optional import MissingLibrary
from .sources.base import MIME, decompressed
from .sources.pushed import PushedSource, pushed_keys
from .tile_cache import rendered_tile
from .tilesets import TilesetSettings

Outcome = Literal["added", "updated", "unchanged", "deleted"]
_OUTCOMES: dict[bytes, Outcome] = {b"a": "added", b"u": "updated", b"=": "unchanged", b"d": "deleted"}

# KEYS: those of the feed, the tiles, their version. ARGV: new epoch, log length, line of the log, most tiles, field,
# value ("": none), new version. Returns a(dded), u(pdated), d(eleted), = (as it was) or x (no room).
_PUSH = (
    scripts.OPEN
    + """
local tiles, field, value = KEYS[5], ARGV[5], ARGV[6]
local old = redis.call('HGET', tiles, field) or ''
if old == value then return '=' end
if old == '' and redis.call('HLEN', tiles) >= tonumber(ARGV[4]) then return 'x' end
if value == '' then redis.call('HDEL', tiles, field) else redis.call('HSET', tiles, field, value) end
redis.call('SET', KEYS[6], ARGV[7])
append('', now .. ARGV[3], '', '')
"""
    + scripts.CLOSE
    + "return value == '' and 'd' or old == '' and 'a' or 'u'"
)


@dataclass(frozen=True, slots=True)
class PushResult:
    """What became of a pushed tile. `version` is the hash of its bytes, as everywhere."""

    tile: Tile
    version: str
    outcome: Outcome


def push_sync(tileset: TilesetSettings, tile: Tile, data: bytes) -> PushResult:
    """Store a tile and announce the change.

    `StreamError`: wrong_tileset_kind, unknown_tile (outside the zooms), invalid_tile, too_large, tileset_full,
    redis_unavailable; invalid_source if Pillow, which checks images, is not installed.
    """
    format = _format_at(tileset, tile)
    checked = _checked(data, format, tileset.tile_size)
    outcome = _store(tileset.name, tile, format.encode() + b"\n" + checked)
    return PushResult(tile, rendered_tile(checked, MIME[format]).etag, outcome)


def remove_sync(tileset: TilesetSettings, tile: Tile) -> None:
    """Remove a pushed tile. `StreamError` as for `push_sync`; unknown_tile if there is none."""
    _format_at(tileset, tile)
    if _store(tileset.name, tile, b"") == "unchanged":
        raise StreamError("unknown_tile", f"tileset {tileset.name!r} has no tile {tile.z}/{tile.x}/{tile.y}")


def drop_pushed_sync(tileset: str) -> None:
    """Remove all pushed tiles of a tileset that is deleted; nothing is announced."""
    with refusing():
        sync_feed_redis().delete(*pushed_keys(tileset))


def _format_at(tileset: TilesetSettings, tile: Tile) -> str:
    """The format of a tile that may be pushed there."""
    tileset.require_kind("pushed")
    has = tileset.override(PushedSource(tileset.name, tileset.format, tileset.min_zoom, tileset.max_zoom).metadata)
    if not tile_exists(*tile):
        raise StreamError("unknown_tile", f"there is no tile {tile.z}/{tile.x}/{tile.y} in the grid")
    if not has.min_zoom <= tile.z <= has.max_zoom:
        raise StreamError("unknown_tile", f"tileset {tileset.name!r} has the zooms {has.min_zoom} to {has.max_zoom}, not {tile.z}")
    return has.format


def _checked(data: bytes, format: str, size: int) -> bytes:
    """The bytes to store, if they are a whole tile."""
    try:
        if format == "mvt":
            data = decompressed(data, "the tile")
        if len(data) > conf.MAX_TILE_BYTES:
            raise StreamError("too_large", f"the tile is larger than the {conf.MAX_TILE_BYTES} bytes allowed")
        if format == "mvt":
            check_mvt(data)
        else:
            _check_image(data, format, size)
    except MissingLibrary:
        raise
    except StreamError as error:
        raise StreamError("too_large" if error.code == "too_large" else "invalid_tile", error.message) from error
    return data


def _check_image(data: bytes, format: str, size: int) -> None:
    found = images.sniff(data)
    if found != format:
        raise StreamError("invalid_tile", f"the tileset has tiles of the format {format}, and this is {found or 'no image that is known'}")
    width, height = images.image_size(data)
    if (width, height) not in ((size, size), (2 * size, 2 * size)):
        raise StreamError("invalid_tile", f"the tile has {width} x {height} pixels; {size} x {size} are expected, or twice as many")
    if format == "avif":
        check_avif(data, width, height)
    else:
        check_image(data, format)
    images.decode_pixels(data, max_side=2 * size, avif=True)


def _store(tileset: str, tile: Tile, value: bytes) -> Outcome:
    feed = tiles_feed(tileset)
    arguments = (
        secrets.token_hex(4),
        feed.options.log_length,
        changed_tiles([tile]).encode(),
        conf.MAX_PUSHED_TILES,
        f"{tile.z}/{tile.x}/{tile.y}",
        value,
        secrets.token_hex(8),
    )
    with refusing():
        push = sync_feed_redis().register_script(_PUSH)
        letter = cast(Any, push(keys=[*feed.keys, *pushed_keys(tileset)], args=arguments))
    if letter == b"x":
        raise StreamError("tileset_full", f"tileset {tileset!r} holds {conf.MAX_PUSHED_TILES:,} tiles, as many as it may")
    return _OUTCOMES[letter]
