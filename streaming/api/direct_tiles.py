"""Tiles that this process holds, answered at once: tiles of public tilesets, without a request and a response of Django.

Whatever is not certain here (a tile that has to be rendered, a source that has to be looked at, a tileset that is not
public, a host that is not allowed) is left to the view, whose answer to the same request is the same in every header.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from functools import lru_cache
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.http.request import split_domain_port, validate_host
from django.utils.cache import patch_vary_headers

from streaming.core.lru import LRU
from streaming.engine.compression import accepts_gzip
from streaming.engine.cors import allow_everybody
from streaming.engine.lifespan import running
from streaming.engine.origins import allowed_origins
from streaming.tiles.grid import Tile
from streaming.tiles.sources.base import FORMAT_NAMES
from streaming.tiles.tile_cache import RenderedTile
from streaming.tiles.tile_renderer import OpenTileset, running_tile_renderer
from streaming.tiles.tilesets import TilesetSettings, tilesets

from .tiles import entity_tag, in_format, is_known, may_be_gzip, named_version, transparent, with_cache_headers

MOST_CHARACTERS = 300
"""Of a host, an origin or a list of codings that is remembered."""
LOCAL_HOSTS = (".localhost", "127.0.0.1", "[::1]")
"""Those that Django allows while DEBUG is on and none are named."""

Headers = list[tuple[bytes, bytes]]
Send = Callable[[dict[str, Any]], Awaitable[None]]


class DirectTiles:
    """Answers what it can."""

    def __init__(self) -> None:
        self._formatted: LRU[tuple[str, str], tuple[TilesetSettings, TilesetSettings]] = LRU(1000)

    async def answer(self, found: re.Match[str], scope: dict[str, Any], headers: dict[bytes, bytes], send: Send) -> bool:
        """Answer a request for a tile if it is certain what the answer is; returns whether it was.

        `found` has the groups `tileset`, `z`, `x`, `y` and `ending`.
        """
        host, origin = headers.get(b"host", b""), headers.get(b"origin", b"")
        twice = len(headers) < len(scope["headers"])
        longest = max(len(host), len(origin), len(headers.get(b"accept-encoding", b"")))
        if twice or b"authorization" in headers or longest > MOST_CHARACTERS or not _is_allowed(host):
            return False
        tile = Tile(int(found["z"]), int(found["x"]), int(found["y"]))
        try:
            opened, rendered = self._held(found["tileset"], found["ending"], tile, scope["query_string"])
            packed = rendered is not None and may_be_gzip(rendered, opened.settings)
            sent = _as_gzip(rendered) if rendered and packed and _accepts_gzip(headers.get(b"accept-encoding", b"")) else rendered
        except KeyError:
            return False
        if rendered is None and opened.metadata.format == "mvt":
            await _respond(send, 204, [*_headers("", origin), (b"Content-Length", b"0")], b"")
            return True
        rendered = rendered or transparent(opened.metadata.tile_size)
        sent = sent or rendered
        unchanged = b"if-none-match" in headers and is_known(rendered, headers[b"if-none-match"].decode("latin-1"))
        body = b"" if unchanged else sent.data
        more = [(b"ETag", entity_tag(rendered, sent).encode()), (b"Content-Length", b"%d" % len(body))]
        if sent is not rendered and not unchanged:
            more.append((b"Content-Encoding", b"gzip"))
        status, of_kind = (304, _headers("", origin, packed)) if unchanged else (200, _headers(rendered.mime, origin, packed))
        await _respond(send, status, [*of_kind, *more], b"" if scope["method"] == "HEAD" else body)
        return True

    def _held(self, name: str, ending: str, tile: Tile, query: bytes) -> tuple[OpenTileset, RenderedTile | None]:
        """The tile, None if it is empty; KeyError unless it is held and need not be looked at."""
        public, renderer = tilesets.fresh(name), running_tile_renderer()
        if public is None or not public.public or renderer is None:
            raise KeyError(name)
        format, tileset = FORMAT_NAMES[ending], self._in_format(public, ending)
        opened = renderer.checked(tileset)
        if opened is None or opened.metadata.format != format or not opened.metadata.min_zoom <= tile.z <= opened.metadata.max_zoom:
            raise KeyError(name)
        if b"version" in query and (version := named_version(query.decode("latin-1"))) and not renderer.has_shown(tileset, version):
            raise KeyError(version)
        if tileset.source_kind.follows and not _is_followed(tileset):
            raise KeyError(name)
        return opened, renderer.cache.kept(tileset.key, tile)

    def _in_format(self, tileset: TilesetSettings, ending: str) -> TilesetSettings:
        key = tileset.name, ending
        known = self._formatted.get(key)
        if known is None or known[0] is not tileset:
            known = tileset, in_format(FORMAT_NAMES[ending], tileset)
            self._formatted.put(key, known)
        return known[1]


def _is_followed(tileset: TilesetSettings) -> bool:
    """Whether changes of a layer are followed, where there is a runtime. Notes that a tile was fetched."""
    runtime = running()
    if runtime is None:
        return True
    from streaming.tiles.live_tilesets import LiveTilesets

    return runtime.service(LiveTilesets).still_fetched(tileset)


def _is_allowed(host: bytes) -> bool:
    """Whether Django would allow the host: else it is to say so."""
    if settings.USE_X_FORWARDED_HOST:
        return False
    allowed = tuple(settings.ALLOWED_HOSTS)
    return _is_host_of(host, allowed or (LOCAL_HOSTS if settings.DEBUG else ()))


@lru_cache(256)
def _is_host_of(host: bytes, allowed: tuple[str, ...]) -> bool:
    domain, _ = split_domain_port(host.decode("latin-1"))
    return bool(domain) and validate_host(domain, allowed)


def _as_gzip(tile: RenderedTile) -> RenderedTile:
    """The tile as gzip; KeyError if that is not kept."""
    renderer = running_tile_renderer()
    if renderer is None:
        raise KeyError(tile.etag)
    return renderer.cache.kept_gzip(tile)


@lru_cache(256)
def _accepts_gzip(header: bytes) -> bool:
    return accepts_gzip(header.decode("latin-1"))


def _headers(mime: str, origin: bytes, packed: bool = False) -> Headers:
    """The headers that all tiles of a kind have in an answer to a page of an origin."""
    return _headers_of(mime, origin, packed, allowed_origins(), settings.SECURE_CONTENT_TYPE_NOSNIFF)


@lru_cache(256)
def _headers_of(mime: str, origin: bytes, packed: bool, allowed: frozenset[str], nosniff: bool) -> Headers:
    """What the view would send. `allowed` is only looked at because the headers depend on it."""
    request, response = HttpRequest(), HttpResponse(content_type=mime or None)
    if origin:
        request.META["HTTP_ORIGIN"] = origin.decode("latin-1")
    if not mime:
        del response["Content-Type"]
    with_cache_headers(response, public=True)
    if packed:
        patch_vary_headers(response, ["Accept-Encoding"])
    allow_everybody(request, response)
    if nosniff:
        response["X-Content-Type-Options"] = "nosniff"
    return [(name.encode("ascii"), value.encode("latin-1")) for name, value in response.items()]


async def _respond(send: Send, status: int, headers: Headers, body: bytes) -> None:
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
