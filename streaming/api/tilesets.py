"""/api/tilesets/: the tilesets, their settings and their metadata."""

from __future__ import annotations

import asyncio
from typing import Any

from channels.db import database_sync_to_async
from django.http import HttpResponse
from rest_framework.request import Request

from streaming.core.errors import StreamError
from streaming.engine.catalogue import readable
from streaming.engine.responses import answer
from streaming.features.layers import catalogue
from streaming.models import Tileset
from streaming.tiles.source_kinds import source_kind
from streaming.tiles.sources.base import MIME, TileMetadata
from streaming.tiles.tile_renderer import tile_renderer
from streaming.tiles.tilesets import TilesetSettings, tileset_settings, tilesets

from . import tile_schemas
from .base import AsyncApiView
from .links import tile_template, tilejson_url, tileset_url
from .openapi import extend_schema
from .permissions import ADD_TILESET, CHANGE_TILESET, DELETE_TILESET
from .serializers import TILESET_SETTINGS, TilesetSerializer

PrivateSettings = dict[str, dict[str, Any]]
"""Settings by the name of their tileset, for users who may change it; empty for others."""


class TilesetsView(AsyncApiView):
    """All tilesets."""

    compresses = True
    needs = {"POST": ADD_TILESET}

    @extend_schema(**tile_schemas.LIST_TILESETS)
    async def get(self, request: Request) -> HttpResponse:
        """The tilesets this user may read. One whose source cannot be read has an `error`."""
        found = [tileset for tileset in (await tilesets.all()).values() if await readable(tileset, request.user)]
        private = await _private_settings(request.user)
        return answer(await asyncio.gather(*(_info_or_error(tileset, request, private) for tileset in found)))

    @extend_schema(**tile_schemas.CREATE_TILESET)
    async def post(self, request: Request) -> HttpResponse:
        """Create a tileset. Its source is read first."""
        settings, warnings = await database_sync_to_async(_saved, thread_sensitive=False)(None, request)  # drawing it may take a second
        created = await _info_or_error(settings, request, await _private_settings(request.user, settings.name))
        return answer({**created, **warnings}, 201, Location=tileset_url(request, settings.name))


class TilesetView(AsyncApiView):
    """One tileset."""

    compresses = True
    needs = {"PATCH": CHANGE_TILESET, "DELETE": DELETE_TILESET}

    @extend_schema(**tile_schemas.GET_TILESET)
    async def get(self, request: Request, tileset: str) -> HttpResponse:
        """Its metadata."""
        settings = await readable_tileset(tileset, request.user)
        metadata = (await tile_renderer().opened(settings)).metadata
        return answer(_tileset_info(settings, metadata, request, await _private_settings(request.user, tileset)))

    @extend_schema(**tile_schemas.UPDATE_TILESET)
    async def patch(self, request: Request, tileset: str) -> HttpResponse:
        """Change some of its settings, which apply at once."""
        settings, warnings = await database_sync_to_async(_saved, thread_sensitive=False)(tileset, request)
        return answer({**await _info_or_error(settings, request, await _private_settings(request.user, tileset)), **warnings})

    @extend_schema(**tile_schemas.DELETE_TILESET)
    async def delete(self, request: Request, tileset: str) -> HttpResponse:
        """Delete the tileset, its pushed tiles and its painted images; source files stay."""
        await database_sync_to_async(lambda: _row(tileset).delete())()
        return HttpResponse(status=204)


async def is_public_tileset(name: str) -> bool:
    """Whether there is a tileset of this name that everybody may read."""
    try:
        return (await tilesets.get(name)).public
    except StreamError:
        return False


async def readable_tileset(name: str, user: Any) -> TilesetSettings:
    """The tileset, if the user may read it. `StreamError("unknown_tileset")`."""
    return await tilesets.get_readable(name, user)


def _saved(name: str | None, request: Request) -> tuple[TilesetSettings, dict[str, Any]]:
    """Change or create a row with the values of the body; returns its settings, and `warnings` if there are any."""
    row = None if name is None else _row(name)
    serializer = TilesetSerializer(row, data=request.data, partial=row is not None)
    serializer.is_valid(raise_exception=True)
    _require_readable_layer(row, serializer.validated_data, request.user)
    return tileset_settings(serializer.save()), {"warnings": serializer.warnings} if serializer.warnings else {}


def _require_readable_layer(row: Tileset | None, changes: dict[str, Any], user: Any) -> None:
    """Refuse tiles of a layer that the user may not read. `StreamError("unknown_layer")`."""
    kind, source = (changes.get(name, getattr(row, name, "")) for name in ("kind", "source"))
    layer = source_kind(kind).layer_name(source)
    if layer is not None:
        catalogue.get_readable_sync(layer, user)


def _row(name: str) -> Tileset:
    row = Tileset.objects.filter(name=name).first()
    if row is None:
        raise StreamError("unknown_tileset", f"there is no tileset {name[:100]!r}")
    return row


async def _private_settings(user: Any, *names: str) -> PrivateSettings:
    """The private settings of tilesets, of all if none is named."""

    def read() -> PrivateSettings:
        if not user.has_perm(CHANGE_TILESET):
            return {}
        rows = Tileset.objects.filter(name__in=names) if names else Tileset.objects.all()
        return {row.name: _row_settings(row) for row in rows}

    return await database_sync_to_async(read)() if user.is_authenticated else {}


async def _info_or_error(tileset: TilesetSettings, request: Request, private: PrivateSettings) -> dict[str, Any]:
    try:
        return _tileset_info(tileset, (await tile_renderer().opened(tileset)).metadata, request, private)
    except StreamError as error:
        refusal = {"code": error.code, "message": error.message}
        return {**_common_info(tileset), **private.get(tileset.name, {}), "error": refusal, "links": []}


def _tileset_info(tileset: TilesetSettings, metadata: TileMetadata, request: Request, private: PrivateSettings) -> dict[str, Any]:
    return {
        **_common_info(tileset),
        **private.get(tileset.name, {}),
        "format": metadata.format,
        "min_zoom": metadata.min_zoom,
        "max_zoom": metadata.max_zoom,
        "tile_size": metadata.tile_size,
        "bounds": metadata.bounds,
        "attribution": metadata.attribution,
        "links": [
            {"rel": "self", "type": "application/json", "href": tileset_url(request, tileset.name)},
            {"rel": "tilejson", "type": "application/json", "href": tilejson_url(request, tileset.name)},
            {"rel": "tiles", "type": MIME[metadata.format], "href": tile_template(request, tileset.name, metadata.format)},
        ],
    }


def _common_info(tileset: TilesetSettings) -> dict[str, Any]:
    return {"name": tileset.name, "title": tileset.title, "kind": tileset.kind, "public": tileset.public}


def _row_settings(row: Tileset) -> dict[str, Any]:
    private = {name: getattr(row, name) for name in TILESET_SETTINGS}
    return {**private, "permission": row.permission or "streaming.view_tileset", "source": "\n".join(tileset_settings(row, {}).sources)}
