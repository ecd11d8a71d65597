"""Where tiles are: the addresses that Leaflet, MapLibre and QGIS know."""

from __future__ import annotations

from django.urls import re_path

from .not_found import NowhereView
from .tiles import TileJsonView, TileView

urlpatterns = [
    re_path(r"^(?P<tileset>[^/]+)/tilejson\.json$", TileJsonView.as_view(), name="tilejson"),
    re_path(
        r"^(?P<tileset>[^/]+)/(?P<z>[0-9]{1,3})/(?P<x>[0-9]{1,12})/(?P<y>[0-9]{1,12})\.(?P<ending>png|webp|jpe?g|mvt|pbf)$",
        TileView.as_view(),
        name="tile",
    ),
    re_path(r"", NowhereView.as_view()),
]
