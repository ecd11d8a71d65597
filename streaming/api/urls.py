"""REST and tiles over HTTP, and the tokens of topics."""

from __future__ import annotations

from django.urls import include, path

from .channel_tokens import ChannelTokenView

urlpatterns = [
    path("api/", include("streaming.api.api_urls")),
    path("tiles/", include("streaming.api.tile_urls")),
    path("token", ChannelTokenView.as_view(), name="channel-token"),
    path("token/", ChannelTokenView.as_view(schema=None)),
]
