"""The pages of the operators."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse

from streaming.engine.admin_views import render_page


def live(request: HttpRequest) -> HttpResponse:
    """Processes, layers, topics and connections of all processes, as they are now."""
    return render_page(request, "streaming/live.html", "Live")
