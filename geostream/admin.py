"""The admin site of this project."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.template.response import TemplateResponse


class AdminSite(admin.AdminSite):
    """Django's, with GeoStream's name on it and a navigation between the pages of operators."""

    site_header = "GeoStream"
    site_title = "GeoStream"
    index_title = "Overview"
    enable_nav_sidebar = False  # the tables need its width

    def each_context(self, request: HttpRequest) -> dict[str, Any]:
        """And the pages of operators that this user may see."""
        from streaming.engine.admin_views import page_links  # the registry needs the apps

        pages = page_links(request) if self.has_permission(request) else []
        return {**super().each_context(request), "admin_pages": pages}

    def index(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> TemplateResponse:
        """The first page, with the pieces that the installed parts add to it."""
        from streaming.engine.admin_views import page_config, rendered_panels

        more = {"panels": rendered_panels(request), "page_config": page_config(request)}
        return super().index(request, {**more, **(extra_context or {})})
