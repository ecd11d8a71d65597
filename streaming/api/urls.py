"""URLs of the API, of tiles and of channel tokens. Those under `api/` work with and without a slash at the end."""

from __future__ import annotations

from django.urls import include, path, re_path

from .aggregates import AggregatesView, AggregateTileView
from .asyncapi import document_view, page_view
from .base import NotFoundView
from .channel_tokens import ChannelTokenView
from .dictionaries import DictionaryView
from .events import EventsView
from .feature import FeatureView
from .features import FeaturesView
from .imagery import ImageryView, ImageView
from .layers import LayersView, LayerView, style_schema_view
from .openapi import DocsView, SchemaView
from .pushed_tiles import PushedTileView
from .tiles import TileJsonView, TileView
from .tilesets import TilesetsView, TilesetView
from .tokens import RefreshView, TicketView, TokenView

_LAYER = r"^layers/(?P<layer>[^/]+)"
_TILESET = r"^tilesets/(?P<tileset>[^/]+)"
_TILE = r"(?P<z>[0-9]{1,3})/(?P<x>[0-9]{1,12})/"
_PUSHED_TILE = _TILESET + r"/tiles/" + _TILE + r"(?P<y>[0-9]{1,12}(?:\.[a-z]{3,4})?)"

_API = [
    re_path(r"^layers/?$", LayersView.as_view(), name="layers"),
    re_path(_LAYER + r"/?$", LayerView.as_view(), name="layer"),
    re_path(_LAYER + r"/aggregates/?$", AggregatesView.as_view(), name="aggregates"),
    re_path(
        _LAYER + r"/aggregates/" + _TILE + r"(?P<y>[0-9]{1,12})\.(?P<ending>mvt|pbf)$", AggregateTileView.as_view(), name="aggregate-tile"
    ),
    re_path(_LAYER + r"/dictionaries/(?P<name>[0-9a-f]+)/?$", DictionaryView.as_view(), name="dictionary"),
    re_path(_LAYER + r"/features/?$", FeaturesView.as_view(), name="features"),
    re_path(_LAYER + r"/features/(?P<feature_id>.+?)/?$", FeatureView.as_view(), name="feature"),
    re_path(r"^events/?$", EventsView.as_view(), name="events"),
    re_path(r"^tilesets/?$", TilesetsView.as_view(), name="tilesets"),
    re_path(_TILESET + r"/?$", TilesetView.as_view(), name="tileset"),
    re_path(_PUSHED_TILE + r"/?$", PushedTileView.as_view(), name="pushed-tile"),
    re_path(_TILESET + r"/imagery/?$", ImageryView.as_view(), name="imagery"),
    re_path(_TILESET + r"/imagery/(?P<image>[^/]+)/?$", ImageView.as_view(), name="image"),
    re_path(r"^token/?$", TokenView.as_view(), name="token"),
    re_path(r"^token/refresh/?$", RefreshView.as_view(), name="token-refresh"),
    re_path(r"^ticket/?$", TicketView.as_view(), name="ticket"),
    re_path(r"^schema/?$", SchemaView.as_view(), name="schema"),
    re_path(r"^docs/?$", DocsView.as_view(), name="docs"),
    path("asyncapi.json", document_view, name="asyncapi"),
    path("layer-style.schema.json", style_schema_view, name="layer-style-schema"),
    re_path(r"^asyncapi/?$", page_view, name="asyncapi-page"),
    re_path(r"", NotFoundView.as_view()),
]

# The addresses that Leaflet, MapLibre and QGIS know.
_TILES = [
    re_path(r"^(?P<tileset>[^/]+)/tilejson\.json$", TileJsonView.as_view(), name="tilejson"),
    re_path(
        r"^(?P<tileset>[^/]+)/" + _TILE + r"(?P<y>[0-9]{1,12})\.(?P<ending>png|webp|jpe?g|avif|mvt|pbf)$",
        TileView.as_view(),
        name="tile",
    ),
    re_path(r"", NotFoundView.as_view()),
]

urlpatterns = [
    path("api/", include(_API)),
    path("tiles/", include(_TILES)),
    path("token", ChannelTokenView.as_view(), name="channel-token"),
    path("token/", ChannelTokenView.as_view(schema=None)),
]
