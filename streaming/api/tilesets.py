"""/api/tilesets/: the tilesets and what they have."""

from __future__ import annotations

import asyncio
from typing import Any

from channels.db import database_sync_to_async
from django.http import HttpResponse
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request

from streaming.core.errors import StreamError
from streaming.engine.catalogue import readable
from streaming.engine.responses import answer
from streaming.features.layers import catalogue
from streaming.models import Tileset
from streaming.tiles.sources.base import MIME, TileMetadata
from streaming.tiles.tile_renderer import tile_renderer
from streaming.tiles.tilesets import TilesetSettings, tileset_settings, tilesets

from . import tile_schemas
from .base import AsyncApiView
from .tile_schemas import TILESET_SETTINGS, TilesetSerializer

Shown = dict[str, dict[str, Any]]
"""Settings by the tileset's name."""
ADD, CHANGE, DELETE = "streaming.add_tileset", "streaming.change_tileset", "streaming.delete_tileset"


class TilesetsView(AsyncApiView):
    """All tilesets."""

    needs = {"POST": ADD}

    @extend_schema(**tile_schemas.LIST_TILESETS)
    async def get(self, request: Request) -> HttpResponse:
        """The tilesets this user may read. One whose source cannot be read has an `error`."""
        found = [tileset for tileset in (await tilesets.all()).values() if await readable(tileset, request.user)]
        shown = await _shown_settings(request.user)
        return answer(await asyncio.gather(*(_described_anyway(tileset, request, shown) for tileset in found)))

    @extend_schema(**tile_schemas.CREATE_TILESET)
    async def post(self, request: Request) -> HttpResponse:
        """Create a tileset. Its source is read first."""
        settings = await database_sync_to_async(_saved)(None, request)
        created = await _described_anyway(settings, request, await _shown_settings(request.user, settings.name))
        return answer(created, 201, Location=request.build_absolute_uri(f"/api/tilesets/{settings.name}/"))


class TilesetView(AsyncApiView):
    """One tileset."""

    needs = {"PATCH": CHANGE, "DELETE": DELETE}

    @extend_schema(**tile_schemas.GET_TILESET)
    async def get(self, request: Request, tileset: str) -> HttpResponse:
        """What it has."""
        settings = await readable_tileset(tileset, request.user)
        has = (await tile_renderer().opened(settings)).metadata
        return answer(_described(settings, has, request, await _shown_settings(request.user, tileset)))

    @extend_schema(**tile_schemas.UPDATE_TILESET)
    async def patch(self, request: Request, tileset: str) -> HttpResponse:
        """Change some of its settings; they hold at once."""
        settings = await database_sync_to_async(_saved)(tileset, request)
        return answer(await _described_anyway(settings, request, await _shown_settings(request.user, tileset)))

    @extend_schema(**tile_schemas.DELETE_TILESET)
    async def delete(self, request: Request, tileset: str) -> HttpResponse:
        """Remove it, with pushed tiles and painted images; files that were there before stay."""
        await database_sync_to_async(lambda: _row(tileset).delete())()
        return HttpResponse(status=204)


async def readable_tileset(name: str, user: Any) -> TilesetSettings:
    """The tileset, if the user may read it. `StreamError` unknown_tileset, unauthenticated or forbidden."""
    tileset = await tilesets.get(name)
    if not await readable(tileset, user):
        raise StreamError("forbidden" if user.is_authenticated else "unauthenticated", f"tileset {tileset.name!r} is not public")
    return tileset


def tile_template(tileset: str, format: str, request: Request) -> str:
    """The address of its tiles, with `{z}/{x}/{y}`."""
    return f"{request.build_absolute_uri(f'/tiles/{tileset}/')}{{z}}/{{x}}/{{y}}.{format}"


def _saved(name: str | None, request: Request) -> TilesetSettings:
    """A row changed, or made, as the body wants it."""
    row = None if name is None else _row(name)
    serializer = TilesetSerializer(row, data=request.data, partial=row is not None)
    serializer.is_valid(raise_exception=True)
    _require_readable_layer(row, serializer.validated_data, request.user)
    return tileset_settings(serializer.save())


def _require_readable_layer(row: Tileset | None, changes: dict[str, Any], user: Any) -> None:
    """Who may not read a layer may not show it to others as tiles. `StreamError("forbidden")`."""
    kind, source = (changes.get(name, getattr(row, name, "")) for name in ("kind", "source"))
    if kind == "layer" and not catalogue.get_sync(source.strip()).readable_by(user):
        raise StreamError("forbidden", f"layer {source.strip()!r} is not public, and you may not read it")


def _row(name: str) -> Tileset:
    row = Tileset.objects.filter(name=name).first()
    if row is None:
        raise StreamError("unknown_tileset", f"there is no tileset {name[:100]!r}")
    return row


async def _shown_settings(user: Any, *names: str) -> Shown:
    """What only those see of tilesets (of all, if none is named) who may change them; nothing for others."""

    def read() -> Shown:
        if not user.has_perm(CHANGE):
            return {}
        rows = Tileset.objects.filter(name__in=names) if names else Tileset.objects.all()
        return {row.name: _settings(row) for row in rows}

    return await database_sync_to_async(read)() if user.is_authenticated else {}


async def _described_anyway(tileset: TilesetSettings, request: Request, shown: Shown) -> dict[str, Any]:
    try:
        return _described(tileset, (await tile_renderer().opened(tileset)).metadata, request, shown)
    except StreamError as error:
        refusal = {"code": error.code, "message": error.message}
        return {**_identity(tileset), **shown.get(tileset.name, {}), "error": refusal, "links": []}


def _described(tileset: TilesetSettings, has: TileMetadata, request: Request, shown: Shown) -> dict[str, Any]:
    return {
        **_identity(tileset),
        **shown.get(tileset.name, {}),
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


def _settings(row: Tileset) -> dict[str, Any]:
    shown = {name: getattr(row, name) for name in TILESET_SETTINGS}
    return {**shown, "permission": row.permission or "streaming.view_tileset", "source": "\n".join(tileset_settings(row, {}).sources)}
