"""Where the engine is over HTTP."""

from __future__ import annotations

from django.urls import path

from . import views

urlpatterns = [
    path("", views.live_map, name="map"),
    path("healthz", views.alive, name="healthz"),
    path("readyz", views.ready, name="readyz"),
]
