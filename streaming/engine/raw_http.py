"""Views that are ASGI applications of their own, in front of Django: they read a body while it arrives, and are asked before it does.

They are in the URLs like other views, under whatever prefix a project has included them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import lru_cache
from typing import Any

from django.core.handlers.asgi import get_script_prefix
from django.http import HttpRequest, HttpResponse
from django.urls import Resolver404, resolve
from django.views.decorators.csrf import csrf_exempt

from streaming.core.errors import StreamError

from .responses import refusal

MAX_PATH = 500
"""Characters of a path that may lead to one, so that the cache of paths stays small."""

Application = Callable[..., Awaitable[None]]
"""Called with scope, receive, send and the arguments of the URL."""


def raw_view(application: Application) -> Callable[..., HttpResponse]:
    """A view for `urlpatterns`. Where Django is served without `with_streams`, it refuses."""

    def view(request: HttpRequest, **kwargs: Any) -> HttpResponse:
        return refusal(StreamError("internal", "this is served by streaming.asgi.with_streams only"))

    view.raw_application = application  # type: ignore[attr-defined]
    return csrf_exempt(view)


def find_raw(scope: dict[str, Any], urlconf: str) -> tuple[Application, dict[str, Any]] | None:
    """The application that a request's path leads to, with the arguments of the URL; None for what is Django's."""
    path: str = scope["path"]
    return _resolve(path.removeprefix(get_script_prefix(scope)), urlconf) if len(path) <= MAX_PATH else None


@lru_cache(4096)
def _resolve(path: str, urlconf: str) -> tuple[Application, dict[str, Any]] | None:
    try:
        match = resolve(path if path.startswith("/") else f"/{path}", urlconf)
    except Resolver404:
        return None
    application = getattr(match.func, "raw_application", None)
    return None if application is None else (application, match.kwargs)
