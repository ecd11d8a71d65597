"""Where Phoenix's clients look for us: they append `/websocket` to whatever address they were given."""

from __future__ import annotations

from collections.abc import Iterable

from django.urls import URLPattern, path

from streaming.engine.conf import conf

from .consumer import PhoenixConnection


def prefixes() -> list[str]:
    """The addresses that clients may be given, without the slash they begin with."""
    own = (part.strip().strip("/") for part in conf.PHOENIX_PREFIXES.split(","))
    return list(dict.fromkeys(["", "socket/", "websocket/", *(f"{prefix}/" for prefix in own if prefix)]))


def phoenix_urlpatterns() -> Iterable[URLPattern]:
    """The WebSocket endpoints."""
    return [path(f"{prefix}websocket", PhoenixConnection.as_asgi()) for prefix in prefixes()]
