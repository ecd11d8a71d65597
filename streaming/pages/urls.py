"""The pages."""

from __future__ import annotations

from django.urls import path

from . import views

urlpatterns = [
    path("", views.live_map, name="map"),
    path("favicon.ico", views.favicon),
    path("channels/test/", views.channels_test, name="channels-test"),
]
