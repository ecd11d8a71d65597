"""/api/layers/{layer}/dictionaries/{name}: zstd dictionaries, with which subscribers to the layer are sent small messages.

What is at an address never changes, so caches may keep it for ever. It holds pieces of features: who may not read the layer gets none.
"""

from __future__ import annotations

from django.http import HttpResponse
from django.utils.cache import patch_vary_headers
from rest_framework.request import Request

from streaming.core.errors import StreamError
from streaming.features import dictionaries
from streaming.features.layers import catalogue

from . import schemas
from .base import AsyncApiView
from .openapi import extend_schema

YEAR = 31_536_000


class DictionaryView(AsyncApiView):
    """One dictionary of a layer."""

    @extend_schema(**schemas.GET_DICTIONARY)
    async def get(self, request: Request, layer: str, name: str) -> HttpResponse:
        """Its bytes."""
        settings = await catalogue.get_readable(layer, request.user)
        data = await dictionaries.read(layer, name)
        if data is None:
            raise StreamError("unknown_dictionary", f"layer {layer!r} has no such dictionary any more")
        response = HttpResponse(data, content_type="application/octet-stream")
        response["Cache-Control"] = f"{'public' if settings.public else 'private'}, max-age={YEAR}, immutable"
        if not settings.public:
            patch_vary_headers(response, ["Authorization", "Cookie"])
        return response
