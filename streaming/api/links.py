"""Absolute URLs in answers, under whatever prefix the project has included GeoStream's URLs."""

from __future__ import annotations

from django.http import HttpRequest
from django.urls import get_script_prefix, reverse
from rest_framework.request import Request


def layer_url(request: Request, layer: str) -> str:
    """Where a layer is, without a slash at the end."""
    return request.build_absolute_uri(reverse("streaming:layer", args=[layer]))


def tileset_url(request: Request, tileset: str) -> str:
    """Where a tileset is."""
    return request.build_absolute_uri(reverse("streaming:tileset", args=[tileset]) + "/")


def tilejson_url(request: Request, tileset: str) -> str:
    """Where the TileJSON of a tileset is."""
    return request.build_absolute_uri(reverse("streaming:tilejson", args=[tileset]))


def tile_template(request: Request, tileset: str, format: str) -> str:
    """The URL of a tileset's tiles, with `{z}/{x}/{y}`."""
    return f"{tilejson_url(request, tileset).removesuffix('tilejson.json')}{{z}}/{{x}}/{{y}}.{format}"


def websocket_url(request: HttpRequest | Request) -> str:
    """The WebSocket endpoint of the geo protocol.

    WebSocket routes are not part of the URLconf: they are at the root of the site, behind the script name if there is
    one.
    """
    return request.build_absolute_uri(f"{get_script_prefix()}ws").replace("http", "ws", 1)
