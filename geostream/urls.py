"""Where things are over HTTP."""

from __future__ import annotations

from django.contrib import admin
from django.urls import include, path

from streaming.pages.views import operators

urlpatterns = [
    path("admin/operators/", admin.site.admin_view(operators), name="operators"),
    path("admin/", admin.site.urls),
    path("", include("streaming.urls")),
]
