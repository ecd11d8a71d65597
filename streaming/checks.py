"""System checks of the lines that a project has for GeoStream: its ASGI application, its URLs, its environment."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, register
from django.core.exceptions import ImproperlyConfigured
from django.urls import NoReverseMatch, reverse

from .server.application import load_application


@register()
def check_asgi_setting(**kwargs: Any) -> list[CheckMessage]:
    """Servers have to know which application to serve."""
    if getattr(settings, "ASGI_APPLICATION", None):
        return []
    return [Error("ASGI_APPLICATION is not set.", hint='ASGI_APPLICATION = "mysite.asgi.application"', id="streaming.E015")]


@register(deploy=True)
def check_asgi_application(**kwargs: Any) -> list[CheckMessage]:
    """The application has the WebSocket routes. Not checked by every command, for the application is loaded; `serve` does it too."""
    try:
        load_application()
    except ImproperlyConfigured as error:
        return [Error(str(error), id="streaming.E011")]
    return []


@register(Tags.urls)
def check_urls(**kwargs: Any) -> list[CheckMessage]:
    """The pages of GeoStream and of its admin link to each other."""
    try:
        reverse("streaming:healthz")
    except NoReverseMatch:
        hint = 'urlpatterns = [path("", include("streaming.urls")), …], before the path of the admin'
        return [Error("The URLs of GeoStream are not among those of the project.", hint=hint, id="streaming.E012")]
    return []
