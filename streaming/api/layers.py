"""/api/layers/: the layers and their settings.

Who changes a layer may name the version of its settings that the change was made from (`preconditions`).
"""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.views.decorators.http import require_safe
from rest_framework.request import Request

from streaming.engine.responses import answer
from streaming.features.aggregates.spec import BY
from streaming.features.layer_styles import schema_bytes
from streaming.features.layers import catalogue, feature_counts
from streaming.models import Layer

from . import schemas
from .base import ApiView
from .links import layer_url, websocket_url
from .openapi import extend_schema
from .permissions import ADD_LAYER, CHANGE_LAYER, DELETE_LAYER
from .preconditions import allows, conflict_answer, settings_tag, settings_version, unless_known, with_tag, write_condition
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
        layer = serializer.save()
        created = layer_info(layer, 0, request)
        return answer(created, 201, Location=created["links"][0]["href"], ETag=f'"{settings_version(layer)}"')


class LayerView(ApiView):
    """One layer."""

    compresses = True
    needs = {"PATCH": CHANGE_LAYER, "DELETE": DELETE_LAYER}

    @extend_schema(**schemas.GET_LAYER)
    def get(self, request: Request, layer: str) -> HttpResponse:
        """Its settings."""
        catalogue.get_readable_sync(layer, request.user)
        row = _row(layer)
        shown = answer(layer_info(row, feature_counts([layer]).get(layer), request))
        return unless_known(shown, request, settings_tag(row, shown))

    @extend_schema(**schemas.UPDATE_LAYER)
    def patch(self, request: Request, layer: str) -> HttpResponse:
        """Change some of its settings, which apply at once."""
        with transaction.atomic():
            row = _row(layer, locked=True)
            if not allows(write_condition(request), settings_version(row)):
                return conflict_answer(settings_version(row))
            serializer = LayerSerializer(row, data=request.data, partial=True)
            serializer.is_valid(raise_exception=True)
            row = serializer.save()
        return answer(layer_info(row, feature_counts([layer]).get(layer), request), ETag=f'"{settings_version(row)}"')

    @extend_schema(**schemas.DELETE_LAYER)
    def delete(self, request: Request, layer: str) -> HttpResponse:
        """Delete the layer and its features."""
        with transaction.atomic():
            row = _row(layer, locked=True)
            if not allows(write_condition(request), settings_version(row)):
                return conflict_answer(settings_version(row))
            row.delete()
        return HttpResponse(status=204)


@require_safe
def style_schema_view(request: HttpRequest) -> HttpResponse:
    """The JSON Schema of layers' styles."""
    shown = HttpResponse(schema_bytes(), content_type="application/schema+json")
    shown["Access-Control-Allow-Origin"] = "*"  # as it is for anybody
    return shown


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
        "group": layer.group,
        "order": layer.order,
        "style": layer.style,
        "count": count,
        "aggregates": list(BY),
        **settings,
        "links": [
            {"rel": "self", "type": "application/json", "href": f"{base}/"},
            {"rel": "items", "type": "application/geo+json", "href": f"{base}/features"},
            {"rel": "aggregates", "type": "application/geo+json", "href": f"{base}/aggregates"},
            {"rel": "stream", "type": "application/json", "href": websocket_url(request)},
        ],
    }


def _row(name: str, locked: bool = False) -> Layer:
    """The row of a layer; one that is `locked` nobody else changes in this transaction."""
    catalogue.get_sync(name)  # StreamError if there is none
    rows = Layer.objects.select_for_update() if locked else Layer.objects.all()
    layer = rows.filter(name=name).first()
    if layer is None:
        raise Http404
    return layer
