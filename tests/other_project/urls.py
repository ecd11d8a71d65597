"""GeoStream under `live/`, beside an API of the project's own, and no admin."""

from __future__ import annotations

from django.urls import include, path

from .own_api import OwnView, PartView

urlpatterns = [
    path("live/", include("streaming.urls")),
    path("live/part/", PartView.as_view()),
    path("own/", OwnView.as_view(), name="layers"),
]
