"""Where everything of the API is, with and without a slash at the end."""

from __future__ import annotations

from django.urls import re_path
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerView

from .events import EventsView
from .feature import FeatureView
from .features import FeaturesView
from .layers import LayersView, LayerView
from .nowhere import NowhereView
from .tilesets import TilesetsView, TilesetView
from .tokens import RefreshView, TicketView, TokenView

_LAYER = r"^layers/(?P<layer>[^/]+)"

urlpatterns = [
    re_path(r"^layers/?$", LayersView.as_view(), name="layers"),
    re_path(_LAYER + r"/?$", LayerView.as_view(), name="layer"),
    re_path(_LAYER + r"/features/?$", FeaturesView.as_view(), name="features"),
    re_path(_LAYER + r"/features/(?P<feature_id>.+?)/?$", FeatureView.as_view(), name="feature"),
    re_path(r"^events/?$", EventsView.as_view(), name="events"),
    re_path(r"^tilesets/?$", TilesetsView.as_view(), name="tilesets"),
    re_path(r"^tilesets/(?P<tileset>[^/]+)/?$", TilesetView.as_view(), name="tileset"),
    re_path(r"^token/?$", TokenView.as_view(), name="token"),
    re_path(r"^token/refresh/?$", RefreshView.as_view(), name="token-refresh"),
    re_path(r"^ticket/?$", TicketView.as_view(), name="ticket"),
    re_path(r"^schema/?$", SpectacularAPIView.as_view(), name="schema"),
    re_path(r"^docs/?$", SpectacularSwaggerView.as_view(url_name="schema"), name="docs"),
    re_path(r"", NowhereView.as_view()),
]
