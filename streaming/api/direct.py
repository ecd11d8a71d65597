"""The short way to the one request that matters: publishing features with a bearer token.

Django's middleware hops between the event loop and threads some fourteen times a request, for sessions, messages, CSRF and the like that such a request has no use for.
Here it goes straight through Django's URL resolver to the same view. Everything else takes the usual way.
"""

from __future__ import annotations

import re
from typing import Any

from django.core.exceptions import RequestAborted
from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.exception import convert_exception_to_response
from django.urls import set_script_prefix

from streaming.senders import ASGISend

_PUBLISHING = re.compile(r"/api/layers/[^/]+/features/?\Z")


class DirectHandler(ASGIHandler):  # type: ignore[misc]
    """Django without middleware, without request signals and without a thread. Views behind it look after their database connections."""

    def load_middleware(self, is_async: bool = False) -> None:
        """There is none."""
        self._view_middleware: list[Any] = []
        self._template_response_middleware: list[Any] = []
        self._exception_middleware: list[Any] = []
        self._middleware_chain = convert_exception_to_response(self._get_response_async)

    async def __call__(self, scope: dict[str, Any], receive: Any, send: ASGISend) -> None:
        try:
            body = await self.read_body(receive)
        except RequestAborted:
            return
        with body:
            set_script_prefix(scope.get("root_path", "") + "/")
            request, refusal = self.create_request(scope, body)
            response = refusal if request is None else await self.run_get_response(request)
            response.headers.setdefault("Content-Length", str(len(response.content)))
            await self.send_response(response, send)


class HttpApplication:
    """Publishing takes the short way, all else Django's."""

    def __init__(self, django: Any) -> None:
        self._django = django
        self._direct = DirectHandler()

    async def __call__(self, scope: dict[str, Any], receive: Any, send: ASGISend) -> None:
        handler = self._direct if _publishes(scope) else self._django
        await handler(scope, receive, send)


def _publishes(scope: dict[str, Any]) -> bool:
    return (
        scope["method"] == "POST"
        and _PUBLISHING.match(scope["path"]) is not None
        and any(name == b"authorization" and value[:7].lower() == b"bearer " for name, value in scope["headers"])
    )
