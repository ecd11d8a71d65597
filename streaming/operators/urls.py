"""The operators' page, which is one of the admin."""

from __future__ import annotations

from django.contrib import admin
from django.urls import path

from .views import operators

urlpatterns = [path("admin/operators/", admin.site.admin_view(operators), name="operators")]
