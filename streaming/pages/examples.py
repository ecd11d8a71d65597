"""The examples: one page for each map library that has an adapter in the npm package.

The libraries are not part of GeoStream. Pages load them from `GEOSTREAM_EXAMPLE_LIBRARIES`, only in the version that is named here, and
only if they are bit by bit what npm has (Subresource Integrity).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.templatetags.static import static
from django.urls import get_script_prefix, reverse
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from streaming.engine.conf import conf
from streaming.engine.content_security_policy import allow
from streaming.features.layers import catalogue
from streaming.tiles.tilesets import tilesets

COUNTRIES = "streaming/demo/countries-110m.geojson"


@dataclass(frozen=True, slots=True)
class LibraryFile:
    """A script or a stylesheet: its place under an address of npm's packages, and the hash of its content."""

    path: str
    integrity: str

    @property
    def url(self) -> str:
        """Where pages load it from."""
        return f"{conf.EXAMPLE_LIBRARIES.removesuffix('/')}/{self.path}"


@dataclass(frozen=True, slots=True)
class Example:
    """A page about one library."""

    title: str
    summary: str | Promise
    scripts: tuple[LibraryFile, ...]
    styles: tuple[LibraryFile, ...] = ()
    tiles: bool = True
    workers: bool = False
    """Whether the library starts workers from a script of its own making."""


EXAMPLES = {
    "maplibre": Example(
        "MapLibre GL JS",
        _("A layer as a GeoJSON source that is updated by differences, and tiles that are loaded again when they have changed."),
        (LibraryFile("maplibre-gl@5.24.1/dist/maplibre-gl.js", "sha384-nXMl9YiLoSG5KBPTFgvxVuIqQQcqIvo0bFrvoEaGJC6r7IibIzF1S36Zbf/sKBtL"),),
        (
            LibraryFile(
                "maplibre-gl@5.24.1/dist/maplibre-gl.css", "sha384-uTttxo/aOKbdE5RlD/SPzSDoDmNvGlUYPjONi2MN/b7c9HPSvW07OIuyP7uL6jxK"
            ),
        ),
        workers=True,
    ),
    "deckgl": Example(
        "deck.gl",
        _("A layer as live data, of which only the rows that have changed are computed anew."),
        (
            LibraryFile("@deck.gl/core@9.4.0/dist.min.js", "sha384-xgHAWkabQf4tNEHgeV2sdtHmOcSdo5ECWrb0wHoYt4xJL/tubgikMIrSshB6hufT"),
            LibraryFile("@deck.gl/layers@9.4.0/dist.min.js", "sha384-bmPB9YWFA7BPdye52Yha1x1CiJ8itg7+mS9805iX4NT7ruvoNZ6aXhJ59VjF5jME"),
        ),
        tiles=False,
    ),
    "openlayers": Example(
        "OpenLayers",
        _("A layer as a vector source whose features stay the same objects, and tiles that are fetched again one by one."),
        (LibraryFile("ol@10.11.0/dist/ol.js", "sha384-rwbCGPbgxLkcQaFvIra1Vz3KBT1yBeF2/1VgLs/gCCNCJ61GHJGimHpkufVKcqap"),),
        (LibraryFile("ol@10.11.0/ol.css", "sha384-Jpg1uvTciFJuHq+90Ly0/2SKRT9yS5OhbIN5FuFoFWji9fc44ok8xxO88CJi8Z5W"),),
    ),
}


def index(request: HttpRequest) -> HttpResponse:
    """What examples there are."""
    return render(request, "streaming/examples.html", {"examples": EXAMPLES})


def example(request: HttpRequest, library: str) -> HttpResponse:
    """A map of a layer and a tileset: `?layer=flights&tileset=relief&cells=on`, or the first ones that the user may read."""
    shown = EXAMPLES.get(library)
    if shown is None:
        raise Http404(f"no example for {library}")
    layers = [(each.name, each.title) for each in catalogue.all_sync().values() if each.readable_by(request.user)]
    readable = [each for each in tilesets.all_sync().values() if shown.tiles and each.readable_by(request.user)]
    layer = _chosen(request, "layer", [name for name, _ in layers])
    tileset = _chosen(request, "tileset", [each.name for each in readable])
    config: dict[str, Any] = {
        "ws_path": f"{get_script_prefix()}ws",
        "layer": layer,
        "tileset": tileset and {"name": tileset, "url": request.build_absolute_uri(reverse("streaming:tilejson", args=[tileset]))},
        "cells": request.GET.get("cells") == "on",
        "countries_url": request.build_absolute_uri(static(COUNTRIES)),
    }
    context = {
        "name": library,
        "example": shown,
        "config": config,
        "layers": layers,
        "tilesets": [(each.name, each.title) for each in readable],
        "layer": layer,
        "tileset": tileset,
        "module": f"streaming/examples/{library}.js",
    }
    response = render(request, "streaming/example.html", context)
    for directive, files in (("script-src", shown.scripts), ("style-src", shown.styles)):
        allow(response, directive, *(file.url for file in files if urlsplit(file.url).netloc))
    if shown.workers:
        allow(response, "worker-src", "blob:")
    return response


def _chosen(request: HttpRequest, parameter: str, names: list[str]) -> str | None:
    """The name that was asked for (an empty one: none), or the first."""
    asked = request.GET.get(parameter)
    if asked is None:
        return next(iter(names), None)
    return asked if asked in names else None
