"""Where everything of the API is, with and without a slash at the end."""

from __future__ import annotations

from django.urls import re_path
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerView

from .events import EventsView
from .feature import FeatureView
from .features import FeaturesView
from .imagery import ImageryView, ImageView
from .layers import LayersView, LayerView
from .not_found import NowhereView
from .pushed_tiles import PushedTileView
from .tilesets import TilesetsView, TilesetView
from .tokens import RefreshView, TicketView, TokenView

_LAYER = r"^layers/(?P<layer>[^/]+)"
_TILESET = r"^tilesets/(?P<tileset>[^/]+)"
_PLACE = r"/tiles/(?P<z>[0-9]{1,3})/(?P<x>[0-9]{1,12})/(?P<y>[0-9]{1,12}(?:\.[a-z]{3,4})?)"

urlpatterns = [
    re_path(r"^layers/?$", LayersView.as_view(), name="layers"),
    re_path(_LAYER + r"/?$", LayerView.as_view(), name="layer"),
    re_path(_LAYER + r"/features/?$", FeaturesView.as_view(), name="features"),
    re_path(_LAYER + r"/features/(?P<feature_id>.+?)/?$", FeatureView.as_view(), name="feature"),
    re_path(r"^events/?$", EventsView.as_view(), name="events"),
    re_path(r"^tilesets/?$", TilesetsView.as_view(), name="tilesets"),
    re_path(_TILESET + r"/?$", TilesetView.as_view(), name="tileset"),
    re_path(_TILESET + _PLACE + r"/?$", PushedTileView.as_view(), name="pushed-tile"),
    re_path(_TILESET + r"/imagery/?$", ImageryView.as_view(), name="imagery"),
    re_path(_TILESET + r"/imagery/(?P<image>[^/]+)/?$", ImageView.as_view(), name="image"),
    re_path(r"^token/?$", TokenView.as_view(), name="token"),
    re_path(r"^token/refresh/?$", RefreshView.as_view(), name="token-refresh"),
    re_path(r"^ticket/?$", TicketView.as_view(), name="ticket"),
    re_path(r"^schema/?$", SpectacularAPIView.as_view(), name="schema"),
    re_path(r"^docs/?$", SpectacularSwaggerView.as_view(url_name="streaming:schema"), name="docs"),
    re_path(r"", NowhereView.as_view()),
]
