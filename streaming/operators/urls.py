"""The operators' page, which is one of the admin."""

from __future__ import annotations

from django.urls import path

from .views import operators

urlpatterns = [path("admin/operators/", operators, name="operators")]
