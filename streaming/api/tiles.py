"""/tiles/: tiles for every map that takes `{z}/{x}/{y}`, and the TileJSON that describes them.

The entity tag of a tile is the hash of its bytes. Browsers ask again each time (`no-cache`) and receive 304 while the
tile is the same. Where a raster has no data, a transparent image is sent, because browsers take anything else for an
error; an empty vector tile is 204.
"""

from __future__ import annotations

import asyncio
import struct
import zlib
from dataclasses import replace
from functools import lru_cache
from typing import Any
from urllib.parse import parse_qs

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils.cache import patch_vary_headers
from django.utils.http import parse_etags
from rest_framework.request import Request

from streaming.core.bbox import Box
from streaming.core.errors import StreamError
from streaming.engine.compression import LEAST_BYTES, takes_gzip
from streaming.engine.cors import allow_everybody, allow_origin
from streaming.engine.lifespan import running
from streaming.engine.responses import answer, refusal
from streaming.tiles.grid import Tile
from streaming.tiles.sources.base import FORMAT_NAMES, MIME
from streaming.tiles.tile_cache import RenderedTile, rendered_tile
from streaming.tiles.tile_renderer import tile_renderer
from streaming.tiles.tilesets import TilesetSettings, tilesets

from . import tile_schemas
from .base import ApiRequest, AsyncApiView
from .compression import acompress
from .links import tile_template
from .openapi import extend_schema
from .tilesets import readable_tileset

MAX_VERSION = 64
"""Characters of a version that are looked at."""


class PublicTilesetView(AsyncApiView):
    """A view of a tileset.

    A request for a public one is not authenticated, because that would cost more than the tile.
    """

    skips_middleware = ("GET", "HEAD")

    async def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:  # type: ignore[override]
        """Answer without authentication where nothing depends on the user, else as usual."""
        public = False
        try:
            found = (await tilesets.all()).get(kwargs["tileset"])  # what is not there is answered as what is not public
            public = found is not None and found.public
            if public and request.method in ("GET", "HEAD") and "HTTP_AUTHORIZATION" not in request.META:
                response: HttpResponseBase = await self.get(ApiRequest(request), **kwargs)  # type: ignore[attr-defined]  # of each view
                if self.compresses:
                    response = await acompress(request, response)
            else:
                response = await super().dispatch(request, *args, **kwargs)
        except StreamError as error:
            response = refusal(error)
        (allow_everybody if public else allow_origin)(request, response)  # also to read a refusal
        return response


class TileView(PublicTilesetView):
    """One tile."""

    @extend_schema(**tile_schemas.GET_TILE)
    async def get(self, request: Request, tileset: str, z: str, x: str, y: str, ending: str) -> HttpResponse:
        """The tile as it is now."""
        settings = in_format(FORMAT_NAMES[ending], await readable_tileset(tileset, request.user))
        await _follow(settings, request.META.get("QUERY_STRING", ""))
        metadata = (await tile_renderer().opened(settings)).metadata
        if FORMAT_NAMES[ending] != metadata.format:
            raise StreamError("unknown_tile", f"tileset {tileset!r} has tiles of the format {metadata.format}, not {ending}")
        tile = await tile_renderer().tile(settings, Tile(int(z), int(x), int(y)))
        if tile is None and metadata.format == "mvt":
            return with_cache_headers(_empty(204), settings.public)
        tile = tile or transparent(metadata.tile_size)
        packed = may_be_gzip(tile, settings)
        sent = await tile_renderer().cache.gzipped(tile) if packed and takes_gzip(request) else tile
        response = with_cache_headers(_tile_response(tile, sent, request), settings.public)
        if packed:
            patch_vary_headers(response, ["Accept-Encoding"])
        return response


class TileJsonView(PublicTilesetView):
    """The TileJSON of a tileset."""

    compresses = True

    @extend_schema(**tile_schemas.GET_TILEJSON)
    async def get(self, request: Request, tileset: str) -> HttpResponse:
        """TileJSON 3.0.0."""
        settings = await readable_tileset(tileset, request.user)
        metadata = (await tile_renderer().opened(settings)).metadata
        document: dict[str, Any] = {
            "tilejson": "3.0.0",
            "name": settings.title,
            "scheme": "xyz",
            "tiles": [tile_template(request, tileset, metadata.format)],
            "minzoom": metadata.min_zoom,
            "maxzoom": metadata.max_zoom,
            "bounds": _around_world(metadata.bounds),
            "attribution": metadata.attribution,
            "format": "pbf" if metadata.format == "mvt" else metadata.format,
            "tileSize": metadata.tile_size,
        }
        if metadata.vector_layers:  # where they are not known: MapLibre takes an empty list for the whole truth, and draws nothing
            document["vector_layers"] = [{"id": name, "fields": {}} for name in metadata.vector_layers]
        if metadata.thinned_below:
            document["thinned_below"] = metadata.thinned_below
        return with_cache_headers(answer(document), settings.public)


async def _follow(tileset: TilesetSettings, query: str) -> None:
    """Follow what has to be followed, and catch up with the version that a request names (`?version=`, of a notice)."""
    runtime, renderer = running(), tile_renderer()
    live = None
    if runtime is not None and runtime.hub.loop is asyncio.get_running_loop():
        from streaming.tiles.live_tilesets import LiveTilesets

        service = runtime.service(LiveTilesets)
        await service.fetched(tileset)
        live = service.live.get(tileset.key)
    version = named_version(query)
    if not version or renderer.has_shown(tileset, version):
        return
    if live is None:
        renderer.reopen(tileset.name)
    elif not await live.catch_up():
        return
    await renderer.opened(tileset)
    renderer.note_shown(tileset, version)


def named_version(query: str) -> str:
    """The version of the tileset that a request names, empty if it names none."""
    return parse_qs(query).get("version", [""])[0][:MAX_VERSION]


@lru_cache(4)
def transparent(size: int) -> RenderedTile:
    """A transparent PNG of `size` by `size` pixels: one bit a pixel, of a palette of one transparent colour."""
    rows = zlib.compress((b"\0" + bytes(size // 8)) * size, 9)
    head = struct.pack(">IIBBBBB", size, size, 1, 3, 0, 0, 0)
    chunks = ((b"IHDR", head), (b"PLTE", b"\0\0\0"), (b"tRNS", b"\0"), (b"IDAT", rows), (b"IEND", b""))
    return rendered_tile(b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(name, data) for name, data in chunks), MIME["png"])


def _around_world(box: Box) -> Box:
    """The box from west to east: maps take one across the antimeridian for empty."""
    west, south, east, north = box
    return box if west <= east else (-180.0, south, 180.0, north)


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def in_format(format: str, tileset: TilesetSettings) -> TilesetSettings:
    """A raster tileset with another format; other tilesets have only their own."""
    if not tileset.source_kind.any_image or format == "mvt" or format == (tileset.format or "png"):
        return tileset
    return replace(tileset, format=format, variant=f"{tileset.variant}@{format}")


def may_be_gzip(tile: RenderedTile, tileset: TilesetSettings) -> bool:
    """Whether a tile is sent as gzip to those who take that: images are compressed already, and of what is private no length is to tell."""
    return tileset.public and tile.mime == MIME["mvt"] and len(tile.data) >= LEAST_BYTES


def entity_tag(tile: RenderedTile, sent: RenderedTile) -> str:
    """The tag of a tile, weak if it is sent as gzip."""
    return f'"{tile.etag}"' if sent is tile else f'W/"{tile.etag}"'


def _tile_response(tile: RenderedTile, sent: RenderedTile, request: Request) -> HttpResponse:
    """The answer with a tile; `sent` is the same or its gzip."""
    unchanged = is_known(tile, request.META.get("HTTP_IF_NONE_MATCH", ""))
    response = _empty(304) if unchanged else HttpResponse(sent.data, content_type=tile.mime)
    response["ETag"] = entity_tag(tile, sent)
    if sent is not tile and not unchanged:
        response["Content-Encoding"] = "gzip"
    return response


def is_known(tile: RenderedTile, if_none_match: str) -> bool:
    """Whether a client that sends this header holds the tile."""
    known = parse_etags(if_none_match)
    return "*" in known or f'"{tile.etag}"' in (each.removeprefix("W/") for each in known)


def _empty(status: int) -> HttpResponse:
    response = HttpResponse(status=status)
    del response["Content-Type"]  # there is no content
    return response


def with_cache_headers(response: HttpResponse, public: bool) -> HttpResponse:
    """The response with the headers for caches."""
    if public:
        response["Cache-Control"] = "public, no-cache"
    else:
        response["Cache-Control"] = "private, no-cache"
        patch_vary_headers(response, ["Authorization", "Cookie"])
    return response
