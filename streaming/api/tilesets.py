"""/api/tilesets/: the tilesets and what they have."""

from __future__ import annotations

import asyncio
from typing import Any

from django.http import HttpResponse
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request

from streaming.catalogue import readable
from streaming.core.errors import StreamError
from streaming.tiles.service import tile_service
from streaming.tiles.sources.base import MIME, Metadata
from streaming.tiles.tilesets import TilesetSettings, tilesets

from . import tile_schemas
from .answers import answer
from .base import AsyncApiView


class TilesetsView(AsyncApiView):
    """All tilesets."""

    @extend_schema(**tile_schemas.LIST_TILESETS)
    async def get(self, request: Request) -> HttpResponse:
        """The tilesets this user may read. One whose source cannot be read has an `error`."""
        found = [tileset for tileset in (await tilesets.all()).values() if await readable(tileset, request.user)]
        return answer(await asyncio.gather(*(_described_anyway(tileset, request) for tileset in found)))


class TilesetView(AsyncApiView):
    """One tileset."""

    @extend_schema(**tile_schemas.GET_TILESET)
    async def get(self, request: Request, tileset: str) -> HttpResponse:
        """What it has."""
        settings = await readable_tileset(tileset, request.user)
        return answer(_described(settings, (await tile_service().opened(settings)).metadata, request))


async def readable_tileset(name: str, user: Any) -> TilesetSettings:
    """The tileset, if the user may read it. `StreamError` unknown_tileset, unauthenticated or forbidden."""
    tileset = await tilesets.get(name)
    if not await readable(tileset, user):
        raise StreamError("forbidden" if user.is_authenticated else "unauthenticated", f"tileset {tileset.name!r} is not public")
    return tileset


def tile_template(tileset: str, format: str, request: Request) -> str:
    """The address of its tiles, with `{z}/{x}/{y}`."""
    return f"{request.build_absolute_uri(f'/tiles/{tileset}/')}{{z}}/{{x}}/{{y}}.{format}"


async def _described_anyway(tileset: TilesetSettings, request: Request) -> dict[str, Any]:
    try:
        return _described(tileset, (await tile_service().opened(tileset)).metadata, request)
    except StreamError as error:
        return {**_identity(tileset), "error": {"code": error.code, "message": error.message}, "links": []}


def _described(tileset: TilesetSettings, has: Metadata, request: Request) -> dict[str, Any]:
    return {
        **_identity(tileset),
        "format": has.format,
        "min_zoom": has.min_zoom,
        "max_zoom": has.max_zoom,
        "tile_size": has.tile_size,
        "bounds": has.bounds,
        "attribution": has.attribution,
        "links": [
            {"rel": "self", "type": "application/json", "href": request.build_absolute_uri(f"/api/tilesets/{tileset.name}/")},
            {"rel": "tilejson", "type": "application/json", "href": request.build_absolute_uri(f"/tiles/{tileset.name}/tilejson.json")},
            {"rel": "tiles", "type": MIME[has.format], "href": tile_template(tileset.name, has.format, request)},
        ],
    }


def _identity(tileset: TilesetSettings) -> dict[str, Any]:
    return {"name": tileset.name, "title": tileset.title, "kind": tileset.kind, "public": tileset.public}
