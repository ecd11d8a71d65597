"""Django's admin as this project has it."""

from __future__ import annotations

from django.contrib.admin import apps


class AdminConfig(apps.AdminConfig):
    """The admin of every installed app, on this project's site."""

    default_site = "geostream.admin.AdminSite"
