"""The ASGI application for HTTP, with a short way for publishing features with a bearer token.

Django's middleware moves a request between the event loop and threads some fourteen times, for sessions, messages, CSRF
and the like, of which such a request uses nothing. Here it goes straight through Django's URL resolver to the same
view, under whatever prefix the project has included GeoStream's URLs. Every other request takes the usual way.
"""

from __future__ import annotations

from functools import lru_cache
from io import BytesIO
from typing import Any

from django.conf import settings
from django.core.exceptions import RequestAborted
from django.core.handlers.asgi import ASGIHandler, get_script_prefix
from django.core.handlers.exception import convert_exception_to_response
from django.http import HttpRequest, HttpResponseBase
from django.urls import Resolver404, resolve, set_script_prefix

from .authentication import is_valid_token
from .request_body import LINES, LimitedReceive, StreamedBody

MAX_PATH = 500
"""Characters of a path that may take the short way, so that the cache of paths stays small."""


class DirectHandler(ASGIHandler):
    """Django without middleware, request signals and threads. Views behind it close their own database connections."""

    def load_middleware(self, is_async: bool = False) -> None:
        """Load none."""
        self._view_middleware: list[Any] = []
        self._template_response_middleware: list[Any] = []
        self._exception_middleware: list[Any] = []
        self._middleware_chain = convert_exception_to_response(self._respond)

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        """Answer one request. A body of lines is left to the view, which reads it while it arrives."""
        streamed = StreamedBody(receive) if _sends_lines(scope) else None
        try:
            body = BytesIO() if streamed else await self.read_body(receive)
        except RequestAborted:
            return
        with body:
            set_script_prefix(get_script_prefix(scope))
            request, refusal = self.create_request(scope, body)
            if request is not None:
                request.streamed_body = streamed  # type: ignore[attr-defined]  # for `FeaturesView`
            response: Any = refusal if request is None else await self.run_get_response(request)
            response.headers.setdefault("Content-Length", str(len(response.content)))
            await self.send_response(response, send)

    async def _respond(self, request: HttpRequest) -> HttpResponseBase:
        request.get_host()  # refuses hosts that are not allowed
        response: HttpResponseBase = await self._get_response_async(request)  # type: ignore[attr-defined]
        return response


class HttpApplication:
    """Answers HTTP requests: publishing with a token directly, all else through the project's Django application.

    The body of a request without a valid token is limited. A client with one may send lines without end; whether the
    user is active and may publish is asked later, by the view.
    """

    def __init__(self, django: Any) -> None:
        self._django = django
        self._direct = DirectHandler()

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        """Answer one request."""
        headers = dict(scope["headers"])
        token = _bearer_token(headers)
        direct = token is not None and scope["method"] == "POST" and not settings.SECURE_SSL_REDIRECT
        handler = self._direct if direct and _skips_middleware(scope) else self._django
        if token is not None and is_valid_token(token):
            await handler(scope, receive, send)
            return
        limited = LimitedReceive(receive, send)
        if limited.allows(headers.get(b"content-length", b"0")):
            await handler(scope, limited, send)
        else:
            await limited.refuse()


def _bearer_token(headers: dict[bytes, bytes]) -> str | None:
    scheme, _, token = headers.get(b"authorization", b"").decode("latin-1").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None


def _skips_middleware(scope: dict[str, Any]) -> bool:
    path = scope["path"].removeprefix(get_script_prefix(scope))
    return len(path) <= MAX_PATH and _view_skips_middleware(path, settings.ROOT_URLCONF)


@lru_cache(1024)
def _view_skips_middleware(path: str, urlconf: str) -> bool:
    """Whether a path leads to a view that is marked as needing no middleware."""
    try:
        view = resolve(path, urlconf).func
    except Resolver404:
        return False
    return getattr(getattr(view, "view_class", None), "skips_middleware", False)


def _sends_lines(scope: dict[str, Any]) -> bool:
    headers = dict(scope["headers"])
    kind = headers.get(b"content-type", b"").decode("latin-1").partition(";")[0].strip().lower()
    return kind in LINES and b"content-encoding" not in headers
