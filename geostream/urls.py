"""The URLs of the project."""

from __future__ import annotations

from django.contrib import admin
from django.urls import include, path

urlpatterns = [
    path("", include("streaming.urls")),  # before the admin: the operators' page is one of the admin's
    path("admin/", admin.site.urls),
]
