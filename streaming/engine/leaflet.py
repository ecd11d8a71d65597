"""Where the pages find Leaflet."""

from __future__ import annotations

from django.apps import apps


def leaflet_files() -> str:
    """Where Leaflet's static files are: in django-leaflet, if the project has it, else among ours.

    A project need not have it: its admin, which Django loads with every other, does not load without GDAL on the system.
    """
    return "leaflet" if apps.is_installed("leaflet") else "streaming/vendor/leaflet"
