"""/api/layers/: the layers and their settings."""

from __future__ import annotations

from typing import Any

from django.http import Http404, HttpResponse
from rest_framework.request import Request

from streaming.engine.responses import answer
from streaming.features.layers import catalogue, feature_counts
from streaming.models import Layer

from . import schemas
from .base import ApiView
from .links import layer_url, websocket_url
from .openapi import extend_schema
from .permissions import ADD_LAYER, CHANGE_LAYER, DELETE_LAYER
from .preconditions import with_tag
from .serializers import LAYER_SETTINGS, LayerSerializer


class LayersView(ApiView):
    """All layers."""

    compresses = True
    needs = {"POST": ADD_LAYER}

    @extend_schema(**schemas.LIST_LAYERS)
    def get(self, request: Request) -> HttpResponse:
        """The layers this user may read."""
        names = [layer.name for layer in catalogue.all_sync().values() if layer.readable_by(request.user)]
        rows = Layer.objects.filter(name__in=names)
        counts = feature_counts(names)
        return with_tag(answer([layer_info(layer, counts.get(layer.name), request) for layer in rows]), request)

    @extend_schema(**schemas.CREATE_LAYER)
    def post(self, request: Request) -> HttpResponse:
        """Create a layer."""
        serializer = LayerSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        created = layer_info(serializer.save(), 0, request)
        return answer(created, 201, Location=created["links"][0]["href"])


class LayerView(ApiView):
    """One layer."""

    compresses = True
    needs = {"PATCH": CHANGE_LAYER, "DELETE": DELETE_LAYER}

    @extend_schema(**schemas.GET_LAYER)
    def get(self, request: Request, layer: str) -> HttpResponse:
        """Its settings."""
        catalogue.get_readable_sync(layer, request.user)
        return with_tag(answer(layer_info(_row(layer), feature_counts([layer]).get(layer), request)), request)

    @extend_schema(**schemas.UPDATE_LAYER)
    def patch(self, request: Request, layer: str) -> HttpResponse:
        """Change some of its settings, which apply at once."""
        serializer = LayerSerializer(_row(layer), data=request.data, partial=True)
        serializer.is_valid(raise_exception=True)
        return answer(layer_info(serializer.save(), feature_counts([layer]).get(layer), request))

    @extend_schema(**schemas.DELETE_LAYER)
    def delete(self, request: Request, layer: str) -> HttpResponse:
        """Delete the layer and its features."""
        _row(layer).delete()
        return HttpResponse(status=204)


def layer_info(layer: Layer, count: int | None, request: Request) -> dict[str, Any]:
    """A layer in an answer; its settings only for users who may change them.

    `count` is None while Redis does not answer.
    """
    base = layer_url(request, layer.name)
    settings = {name: getattr(layer, name) for name in LAYER_SETTINGS} if request.user.has_perm(CHANGE_LAYER) else {}
    return {
        "name": layer.name,
        "title": layer.title or layer.name,
        "public": layer.public,
        "time_property": layer.time_property or None,
        "count": count,
        **settings,
        "links": [
            {"rel": "self", "type": "application/json", "href": f"{base}/"},
            {"rel": "items", "type": "application/geo+json", "href": f"{base}/features"},
            {"rel": "stream", "type": "application/json", "href": websocket_url(request)},
        ],
    }


def _row(name: str) -> Layer:
    catalogue.get_sync(name)  # StreamError if there is none
    layer = Layer.objects.filter(name=name).first()
    if layer is None:
        raise Http404
    return layer
