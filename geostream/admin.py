"""The admin site of this project."""

from __future__ import annotations

from django.contrib import admin


class AdminSite(admin.AdminSite):
    """Django's, with GeoStream's name on it."""

    site_header = "GeoStream"
    site_title = "GeoStream"
    index_title = "Live layers"
    enable_nav_sidebar = False  # the tables need its width
