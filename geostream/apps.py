"""Django's admin as this project has it."""

from __future__ import annotations

from importlib import import_module

from django.apps import apps
from django.contrib.admin.apps import SimpleAdminConfig
from django.utils.module_loading import module_has_submodule

WITHOUT_ADMIN = {"leaflet"}
"""Apps whose admin is not loaded: leaflet's needs a system GDAL."""


class AdminConfig(SimpleAdminConfig):
    """Discovers the admin of every installed app, as Django does, but for those that cannot be loaded everywhere."""

    default_site = "geostream.admin.AdminSite"

    def ready(self) -> None:
        """Load the `admin` module of each app."""
        super().ready()
        for config in apps.get_app_configs():
            if config.name not in WITHOUT_ADMIN and module_has_submodule(config.module, "admin"):
                import_module(f"{config.name}.admin")
