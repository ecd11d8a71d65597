"""The pages of operators, which are pages of the admin."""

from __future__ import annotations

from django.urls import path
from django.views.generic import RedirectView

from streaming.engine.admin_views import admin_urlpatterns

urlpatterns = [
    path("admin/operators/", RedirectView.as_view(pattern_name="streaming:admin-live"), name="operators"),  # where Live was before
    *admin_urlpatterns(),
]
