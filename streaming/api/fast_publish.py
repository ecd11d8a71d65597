"""The short way to the one request that matters: publishing features with a bearer token.
Django's middleware hops between the event loop and threads some fourteen times a request, for sessions, messages, CSRF and the
like that such a request has no use for. Here it goes straight through Django's URL resolver to the same view. Everything else
takes the usual way.
"""

from __future__ import annotations

import re
from io import BytesIO
from typing import Any

from django.conf import settings
from django.core.exceptions import RequestAborted
from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.exception import convert_exception_to_response
from django.http import HttpRequest, HttpResponseBase
from django.urls import set_script_prefix

from .body_limit import Intake, shows_token
from .request_body import LINES
from .request_stream import Arriving

_PUBLISHING = re.compile(r"/api/layers/[^/]+/features/?\Z")


class DirectHandler(ASGIHandler):
    """Django without middleware, without request signals and without a thread. Views behind it look after their database connections."""

    def load_middleware(self, is_async: bool = False) -> None:
        """There is none."""
        self._view_middleware: list[Any] = []
        self._template_response_middleware: list[Any] = []
        self._exception_middleware: list[Any] = []
        self._middleware_chain = convert_exception_to_response(self._respond)

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        """Answer one request. A body of lines is left to the view, to be read while it arrives."""
        arriving = Arriving(receive) if _sends_lines(scope) else None
        try:
            body = BytesIO() if arriving else await self.read_body(receive)
        except RequestAborted:
            return
        with body:
            set_script_prefix(scope.get("root_path", "") + "/")
            request, refusal = self.create_request(scope, body)
            if request is not None:
                request.arriving = arriving  # type: ignore[attr-defined]  # for `FeaturesView`
            response: Any = refusal if request is None else await self.run_get_response(request)
            response.headers.setdefault("Content-Length", str(len(response.content)))
            await self.send_response(response, send)

    async def _respond(self, request: HttpRequest) -> HttpResponseBase:
        request.get_host()  # refuses hosts that are not allowed
        response: HttpResponseBase = await self._get_response_async(request)  # type: ignore[attr-defined]
        return response


class HttpApplication:
    """Publishing takes the short way, all else Django's."""

    def __init__(self, django: Any) -> None:
        self._django = django
        self._direct = DirectHandler()

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        """Answer one request."""
        handler = self._direct if _publishes(scope) and not settings.SECURE_SSL_REDIRECT else self._django
        if shows_token(scope):
            await handler(scope, receive, send)
            return
        intake = Intake(receive, send)
        if intake.fits(scope):
            await handler(scope, intake, send)
        else:
            await intake.refuse()


def _publishes(scope: dict[str, Any]) -> bool:
    return (
        scope["method"] == "POST"
        and _PUBLISHING.match(scope["path"]) is not None
        and any(name == b"authorization" and value[:7].lower() == b"bearer " for name, value in scope["headers"])
    )


def _sends_lines(scope: dict[str, Any]) -> bool:
    headers = dict(scope["headers"])
    kind = headers.get(b"content-type", b"").decode("latin-1").partition(";")[0].strip().lower()
    return kind in LINES and b"content-encoding" not in headers
