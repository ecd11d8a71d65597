"""The pages of the operators."""

from __future__ import annotations

from django.apps import apps
from django.http import HttpRequest, HttpResponse

from streaming.engine.admin_views import render_page
from streaming.engine.basemap import base_map
from streaming.engine.registry import all_dialects


def live(request: HttpRequest) -> HttpResponse:
    """Processes, layers, topics and connections of all processes, as they are now."""
    return render_page(request, "streaming/live.html", "Live")


def connections(request: HttpRequest) -> HttpResponse:
    """Who is connected, the boxes that they look at, and who is banned."""
    leaflet = "leaflet" if apps.is_installed("leaflet") else "streaming/vendor/leaflet"
    config = {"base_map": base_map()}
    return render_page(request, "streaming/connections.html", "Connections", config, leaflet=leaflet, dialects=sorted(all_dialects()))
