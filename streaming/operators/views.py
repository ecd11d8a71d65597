"""The pages of the operators."""

from __future__ import annotations

from django.apps import apps
from django.http import HttpRequest, HttpResponse
from django.templatetags.static import static

from streaming.engine.admin_views import render_page
from streaming.engine.registry import all_dialects

COUNTRIES = "streaming/demo/countries-110m.geojson"


def live(request: HttpRequest) -> HttpResponse:
    """Processes, layers, topics and connections of all processes, as they are now."""
    return render_page(request, "streaming/live.html", "Live")


def connections(request: HttpRequest) -> HttpResponse:
    """Who is connected, the boxes that they look at, and who is banned."""
    leaflet = "leaflet" if apps.is_installed("leaflet") else "streaming/vendor/leaflet"
    config = {"countries_url": static(COUNTRIES)}
    return render_page(request, "streaming/connections.html", "Connections", config, leaflet=leaflet, dialects=sorted(all_dialects()))
