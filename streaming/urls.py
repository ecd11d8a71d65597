"""Where the engine is over HTTP."""

from __future__ import annotations

from django.urls import include, path

from streaming.pages import views

from .api.channel_tokens import ChannelTokenView
from .dialects.phoenix.views import longpoll_urlpatterns

urlpatterns = [
    path("", views.live_map, name="map"),
    path("favicon.ico", views.favicon),
    path("healthz", views.alive, name="healthz"),
    path("api/", include("streaming.api.urls")),
    path("token", ChannelTokenView.as_view(), name="channel-token"),
    path("token/", ChannelTokenView.as_view(schema=None)),
    path("channels/test/", views.channels_test, name="channels-test"),
    path("tiles/", include("streaming.api.tile_urls")),
    *longpoll_urlpatterns(),
    path("metrics", views.metrics, name="metrics"),
    path("readyz", views.ready, name="readyz"),
]
