"""/api/tilesets/{tileset}/tiles/{z}/{x}/{y}: tiles that programs push.

The format of a body is recognised from its bytes.
"""

from __future__ import annotations

from django.http import HttpResponse
from rest_framework.request import Request

from streaming.core.errors import StreamError
from streaming.engine.conf import conf
from streaming.engine.responses import answer
from streaming.tiles.grid import Tile
from streaming.tiles.pushed_tiles import push_sync, remove_sync
from streaming.tiles.sources.base import FORMAT_NAMES
from streaming.tiles.tilesets import TilesetSettings, tilesets

from . import tile_schemas
from .base import ApiView
from .openapi import extend_schema
from .permissions import CHANGE_TILESET
from .request_body import read_body


class PushedTileView(ApiView):
    """One tile of a tileset of the kind `pushed`."""

    publishes = True
    needs = {"PUT": CHANGE_TILESET, "DELETE": CHANGE_TILESET}

    @extend_schema(**tile_schemas.PUT_TILE)
    def put(self, request: Request, tileset: str, z: str, x: str, y: str) -> HttpResponse:
        """Add or replace it."""
        settings, tile = _address(tileset, z, x, y)
        pushed = push_sync(settings, tile, read_body(request, conf.MAX_TILE_BYTES, advice=""))
        body = {"tile": [tile.x, tile.y, tile.z], "version": pushed.version, "outcome": pushed.outcome}
        return answer(body, 201 if pushed.outcome == "added" else 200, ETag=f'"{pushed.version}"')

    @extend_schema(**tile_schemas.DELETE_TILE)
    def delete(self, request: Request, tileset: str, z: str, x: str, y: str) -> HttpResponse:
        """Remove it."""
        remove_sync(*_address(tileset, z, x, y))
        return HttpResponse(status=204)


def _address(tileset: str, z: str, x: str, y: str) -> tuple[TilesetSettings, Tile]:
    settings = tilesets.get_sync(tileset)
    settings.require_kind("pushed")
    row, _, ending = y.partition(".")
    format = settings.format or "png"
    if ending and FORMAT_NAMES.get(ending) != format:
        raise StreamError("invalid_tile", f"tileset {tileset!r} has tiles of the format {format}, not {ending}")
    return settings, Tile(int(z), int(x), int(row))
