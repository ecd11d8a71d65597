"""The pages."""

from __future__ import annotations

from django.apps import apps
from django.contrib.auth.views import LogoutView
from django.urls import path

from . import basemap, examples, views

urlpatterns = [
    path("", views.live_map, name="map"),
    path("geostream/basemap/<int:z>/<int:x>/<int:y>.mvt", basemap.tile, name="basemap-tile"),
    path("favicon.ico", views.favicon),
    path("geostream/login/", views.LoginView.as_view(), name="login"),
    path("geostream/logout/", LogoutView.as_view(next_page="streaming:map"), name="logout"),
    path("channels/test/", views.channels_test, name="channels-test"),
    path("examples/", examples.index, name="examples"),
    path("examples/<str:library>/", examples.example, name="example"),
]
if apps.is_installed("streaming.files") and apps.is_installed("streaming.dialects.file_sync"):
    urlpatterns.append(path("files/", views.files, name="files"))
