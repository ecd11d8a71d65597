"""The tiles of the base map that ships with GeoStream (`make basemap` makes it). They never change while a server runs."""

from __future__ import annotations

import asyncio
import gzip
from functools import lru_cache
from pathlib import Path

from django.http import HttpRequest, HttpResponse
from django.utils.cache import patch_vary_headers

from streaming.core.errors import StreamError
from streaming.engine.compression import takes_gzip
from streaming.engine.responses import refusal
from streaming.tiles.sources.base import MIME
from streaming.tiles.sources.pmtiles import PMTilesSource

ARCHIVE = Path(__file__).parent / "data" / "basemap.pmtiles"
CACHED_TILES = 512
YEAR = 31_536_000


async def tile(request: HttpRequest, z: int, x: int, y: int) -> HttpResponse:
    """A vector tile with the layers `land`, `lakes`, `provinces` and `borders`; 204 where there is only water."""
    try:
        data = await asyncio.to_thread(_compressed, z, x, y)
    except StreamError as error:
        return refusal(error)
    if data is None:
        response = HttpResponse(status=204)
    elif takes_gzip(request):
        response = HttpResponse(data, content_type=MIME["mvt"], headers={"Content-Encoding": "gzip"})
    else:
        response = HttpResponse(gzip.decompress(data), content_type=MIME["mvt"])
    response["Cache-Control"] = f"public, max-age={YEAR}, immutable"  # the address has the version of the archive
    patch_vary_headers(response, ["Accept-Encoding"])
    return response


@lru_cache(1)
def _archive() -> PMTilesSource:
    return PMTilesSource(ARCHIVE)


@lru_cache(CACHED_TILES)
def _compressed(z: int, x: int, y: int) -> bytes | None:
    """`StreamError` for a tile that cannot be, and without the library that reads the archive."""
    if z > _archive().metadata.max_zoom or max(x, y) >= 2**z:
        raise StreamError("unknown_tile", "the base map has no such tile")
    data = _archive().render(z, x, y)
    return None if data is None else gzip.compress(data, 6, mtime=0)
