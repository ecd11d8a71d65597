"""/api/tilesets/{tileset}/imagery: georeferenced images, painted over a raster tileset.

They are written to disk in chunks.
"""

from __future__ import annotations

from collections.abc import Iterable

from django.core.exceptions import SuspiciousOperation
from django.http import HttpResponse
from django.http.multipartparser import MultiPartParserError
from rest_framework.request import Request

from streaming.core.errors import StreamError
from streaming.engine.conf import conf
from streaming.engine.responses import answer
from streaming.tiles.imagery import clear_imagery_sync, imagery_sync, paint_sync
from streaming.tiles.imagery_files import Content
from streaming.tiles.sources.side_files import APPENDED, REPLACING, side_ending
from streaming.tiles.tilesets import tilesets

from . import tile_schemas
from .base import ApiView
from .errors import UnsupportedMediaType
from .openapi import extend_schema
from .permissions import CHANGE_TILESET
from .request_body import body_chunks, declared_length, media_type, too_large

RAW = ("image/tiff", "application/octet-stream")
FORM = "multipart/form-data"
FORM_OVERHEAD = 64 * 1024
"""Bytes that a form adds to its file, at most."""


class ImageryView(ApiView):
    """All images of a tileset."""

    publishes = True
    needs = {"GET": CHANGE_TILESET, "POST": CHANGE_TILESET, "DELETE": CHANGE_TILESET}

    @extend_schema(**tile_schemas.LIST_IMAGERY)
    def get(self, request: Request, tileset: str) -> HttpResponse:
        """The painted images, from the lowest to the highest."""
        return answer(imagery_sync(tilesets.get_sync(tileset)))

    @extend_schema(**tile_schemas.PAINT_IMAGERY)
    def post(self, request: Request, tileset: str) -> HttpResponse:
        """Paint an image above all others."""
        settings = tilesets.get_sync(tileset)
        settings.require_kind("raster")
        image, beside = _image_and_side_files(request)
        return answer(paint_sync(settings, image, request.GET.get("name"), beside, declared_length(request)), 201)

    @extend_schema(**tile_schemas.CLEAR_IMAGERY)
    def delete(self, request: Request, tileset: str) -> HttpResponse:
        """Remove all images."""
        clear_imagery_sync(tilesets.get_sync(tileset))
        return HttpResponse(status=204)


class ImageView(ApiView):
    """One image."""

    publishes = True
    needs = {"DELETE": CHANGE_TILESET}

    @extend_schema(**tile_schemas.DELETE_IMAGE)
    def delete(self, request: Request, tileset: str, image: str) -> HttpResponse:
        """Remove it."""
        if not clear_imagery_sync(tilesets.get_sync(tileset), image):
            raise StreamError("not_found", f"no image {image[:100]!r} is painted over tileset {tileset!r}")
        return HttpResponse(status=204)


def _image_and_side_files(request: Request) -> tuple[Iterable[bytes], dict[str, Content]]:
    """The image in chunks, from the body or from a form's field `file`, and the form's `side_file`s by their endings."""
    if declared_length(request) > conf.MAX_IMAGERY_BYTES + FORM_OVERHEAD:
        raise too_large(conf.MAX_IMAGERY_BYTES, advice="")
    kind = media_type(request)
    if kind in (*RAW, ""):
        return body_chunks(request), {}
    if kind != FORM:
        raise UnsupportedMediaType("Content-Type", kind, (*RAW, FORM), "Accept-Post")
    try:
        file = request._request.FILES.get("file")
        beside: dict[str, Content] = {_ending(each.name or ""): each.chunks() for each in request._request.FILES.getlist("side_file")}
    except (MultiPartParserError, SuspiciousOperation) as error:
        raise StreamError("bad_request", f"the form cannot be read: {error}") from error
    if file is None:
        raise StreamError("bad_request", "the form has no file in its field 'file'")
    image: Iterable[bytes] = file.chunks()
    return image, beside


def _ending(name: str) -> str:
    ending = side_ending(name)
    if ending is None:
        raise StreamError("bad_request", f"side_file: {name[:100]!r} ends in none of {', '.join((*REPLACING, *APPENDED))}")
    return ending
