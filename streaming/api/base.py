"""What all views of the API have in common: JSON only, one way of being refused, and handlers that may be coroutines."""

from __future__ import annotations

from collections.abc import Iterable
from inspect import isawaitable
from typing import Any, ClassVar

from channels.db import database_sync_to_async
from django.http import HttpRequest, HttpResponseBase
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.views import APIView

from streaming.engine.auth import bearer_token

from .authentication import BearerAuthentication, PageSessionAuthentication, user_cache
from .permissions import Needed
from .request_body import LimitedJsonParser


class AlwaysJson(BaseContentNegotiation):
    """Answers in JSON whatever a browser would rather have."""

    def select_parser(self, request: Request, parsers: Iterable[Any]) -> Any:
        """The parser of JSON, also for bodies that do not say what they are."""
        declared = (request.content_type or "").partition(";")[0].strip().lower()
        return next((parser for parser in parsers if not declared or declared in (parser.media_type, "text/json")), None)

    def select_renderer(self, request: Request, renderers: Iterable[Any], format_suffix: str | None = None) -> tuple[Any, str]:
        """The renderer of JSON."""
        renderer = next(iter(renderers))
        return renderer, renderer.media_type


class ApiView(APIView):
    """A view of the API. `needs` says which permission a method asks for; methods that are not in it are open to everybody."""

    renderer_classes = [JSONRenderer]
    parser_classes = [LimitedJsonParser]
    authentication_classes = [BearerAuthentication, PageSessionAuthentication]
    content_negotiation_class = AlwaysJson
    permission_classes = [Needed]
    needs: ClassVar[dict[str, str]] = {}
    skips_middleware: ClassVar[bool] = False
    """Whether a POST with a bearer token goes past the project's middleware (`fast_publish`)."""


class AsyncApiView(ApiView):
    """A view whose handlers are coroutines. Who is asking is found out without a thread where that is already known."""

    async def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:  # type: ignore[override]
        """The framework's `dispatch`, awaiting the handler."""
        self.args, self.kwargs = args, kwargs
        self.request = self.initialize_request(request, *args, **kwargs)
        self.headers = self.default_response_headers
        try:
            if user_cache.get(bearer_token(request) or ""):
                self.initial(self.request, *args, **kwargs)
            else:
                await database_sync_to_async(self.initial)(self.request, *args, **kwargs)
            method = (request.method or "").lower()
            handler = getattr(self, method, None) if method in self.http_method_names else None
            response = (handler or self.http_method_not_allowed)(self.request, *args, **kwargs)
            if isawaitable(response):
                response = await response
        except Exception as error:  # noqa: BLE001 (every refusal and every failure is answered by `errors.handle`)
            response = self.handle_exception(error)
        self.response = self.finalize_response(self.request, response, *args, **kwargs)
        return self.response
