"""/api/layers/: the layers and their settings."""

from __future__ import annotations

from typing import Any

from django.http import Http404, HttpResponse
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request

from streaming.engine.responses import answer
from streaming.features.layers import catalogue, feature_counts
from streaming.models import Layer

from . import schemas
from .base import ApiView
from .permissions import ADD, CHANGE, DELETE, require_readable
from .schemas import LAYER_SETTINGS, LayerSerializer


class LayersView(ApiView):
    """All layers."""

    needs = {"POST": ADD}

    @extend_schema(**schemas.LIST_LAYERS)
    def get(self, request: Request) -> HttpResponse:
        """The layers this user may read."""
        names = [layer.name for layer in catalogue.all_sync().values() if layer.readable_by(request.user)]
        rows = Layer.objects.filter(name__in=names)
        counts = feature_counts(names)
        return answer([described(layer, counts.get(layer.name), request) for layer in rows])

    @extend_schema(**schemas.CREATE_LAYER)
    def post(self, request: Request) -> HttpResponse:
        """Create a layer."""
        serializer = LayerSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        created = described(serializer.save(), 0, request)
        return answer(created, 201, Location=created["links"][0]["href"])


class LayerView(ApiView):
    """One layer."""

    needs = {"PATCH": CHANGE, "DELETE": DELETE}

    @extend_schema(**schemas.GET_LAYER)
    def get(self, request: Request, layer: str) -> HttpResponse:
        """Its settings."""
        require_readable(catalogue.get_sync(layer), request.user)
        return answer(described(_row(layer), feature_counts([layer]).get(layer), request))

    @extend_schema(**schemas.UPDATE_LAYER)
    def patch(self, request: Request, layer: str) -> HttpResponse:
        """Change some of its settings; they hold at once."""
        serializer = LayerSerializer(_row(layer), data=request.data, partial=True)
        serializer.is_valid(raise_exception=True)
        return answer(described(serializer.save(), feature_counts([layer]).get(layer), request))

    @extend_schema(**schemas.DELETE_LAYER)
    def delete(self, request: Request, layer: str) -> HttpResponse:
        """Remove it with all its features."""
        _row(layer).delete()
        return HttpResponse(status=204)


def described(layer: Layer, count: int | None, request: Request) -> dict[str, Any]:
    """A layer as the API shows it; its settings only to those who may change them. `count` is null while Redis does not answer."""
    base = request.build_absolute_uri(f"/api/layers/{layer.name}")
    stream = request.build_absolute_uri("/ws").replace("http", "ws", 1)
    settings = {name: getattr(layer, name) for name in LAYER_SETTINGS} if request.user.has_perm(CHANGE) else {}
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
            {"rel": "stream", "type": "application/json", "href": stream},
        ],
    }


def _row(name: str) -> Layer:
    catalogue.get_sync(name)  # StreamError if there is none
    layer = Layer.objects.filter(name=name).first()
    if layer is None:
        raise Http404
    return layer
