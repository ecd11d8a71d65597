"""Where the engine is over HTTP."""

from __future__ import annotations

from django.urls import include, path

from . import views

urlpatterns = [
    path("", views.live_map, name="map"),
    path("favicon.ico", views.favicon),
    path("healthz", views.alive, name="healthz"),
    path("api/", include("streaming.api.urls")),
    path("tiles/", include("streaming.api.tile_urls")),
    path("readyz", views.ready, name="readyz"),
]
