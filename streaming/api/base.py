"""Base classes of the API's views: JSON only, one shape of refusals, handlers that may be coroutines.

Every policy of the REST framework is set here, so that the project's own REST_FRAMEWORK setting changes nothing in this
API, and this API changes nothing in the project's own.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from inspect import isawaitable
from typing import Any, ClassVar

from channels.db import database_sync_to_async
from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.urls import reverse
from django.utils.translation import override
from drf_spectacular.openapi import AutoSchema
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import NotFound
from rest_framework.metadata import SimpleMetadata
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.views import APIView

from streaming.engine.auth import bearer_token
from streaming.engine.cors import PREFLIGHT, allow_origin, is_preflight
from streaming.engine.http_bans import refuse_banned

from .authentication import BearerAuthentication, PageSessionAuthentication, user_cache
from .compression import acompress, compress
from .errors import exception_handler
from .permissions import NeededPermission
from .request_body import LimitedJsonParser


class JsonNegotiation(BaseContentNegotiation):
    """Content negotiation that always answers in JSON, whatever a browser prefers."""

    def select_parser(self, request: Request, parsers: Iterable[Any]) -> Any:
        """The parser of JSON, also for a body without a Content-Type."""
        declared = (request.content_type or "").partition(";")[0].strip().lower()
        return next((parser for parser in parsers if not declared or declared in (parser.media_type, "text/json")), None)

    def select_renderer(self, request: Request, renderers: Iterable[Any], format_suffix: str | None = None) -> tuple[Any, str]:
        """The renderer of JSON."""
        renderer = next(iter(renderers))
        return renderer, renderer.media_type


class ApiRequest(Request):
    """A request whose user is Django's `AnonymousUser` if it carries no credentials."""

    def _not_authenticated(self) -> None:
        self._authenticator = None
        self.user = AnonymousUser()
        self.auth = None


class ApiView(APIView):
    """A view of the API.

    `needs` names the permission that a method needs; methods that are not in it are open to everybody.
    """

    needs: ClassVar[dict[str, str]] = {}
    publishes: ClassVar[bool] = False
    """Whether what is sent here reaches subscribers: then publishers that are muted are refused."""
    skips_middleware: ClassVar[tuple[str, ...]] = ()
    """The methods that go past the project's middleware (`fast_publish`): POST with a bearer token, GET and HEAD of tiles."""

    compresses: ClassVar[bool] = False
    """Whether answers may be gzip: never where they hold a token."""

    authentication_classes: Sequence[type[BaseAuthentication]] = [BearerAuthentication, PageSessionAuthentication]
    permission_classes: Sequence[Any] = [NeededPermission]
    throttle_classes = []
    versioning_class = None
    parser_classes = [LimitedJsonParser]
    renderer_classes = [JSONRenderer]
    content_negotiation_class: type[BaseContentNegotiation] = JsonNegotiation
    metadata_class = SimpleMetadata
    schema: Any = AutoSchema()

    def initialize_request(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Request:
        """The request that handlers are given."""
        return ApiRequest(
            request,
            parsers=self.get_parsers(),
            authenticators=self.get_authenticators(),
            negotiator=self.get_content_negotiator(),
            parser_context=self.get_parser_context(request),
        )

    def check_permissions(self, request: Request) -> None:
        """The framework's. `StreamError("banned")` for those who are."""
        refuse_banned(request.META.get("REMOTE_ADDR", ""), request.user.pk)
        super().check_permissions(request)

    def options(self, request: Any, *args: Any, **kwargs: Any) -> Any:
        """Answer a CORS preflight, or say what there is here."""
        if not is_preflight(request):
            return super().options(request, *args, **kwargs)
        return HttpResponse(status=204, headers={"Access-Control-Allow-Methods": ", ".join(self.allowed_methods), **PREFLIGHT})

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        """The framework's, with the headers for pages of other sites."""
        final = super().finalize_response(request, response, *args, **kwargs)
        allow_origin(request, final)
        return final

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        """The framework's, in English, with large answers compressed."""
        with override("en"):
            response = super().dispatch(request, *args, **kwargs)
        return compress(request, response, self._authenticator()) if self.compresses else response

    def _authenticator(self) -> Any:
        """What has authenticated the request; None if nothing has."""
        return getattr(getattr(self, "request", None), "_authenticator", None)

    def get_exception_handler(self) -> Any:
        """What turns an exception into a response."""
        return exception_handler


class AsyncApiView(ApiView):
    """A view whose handlers are coroutines. A user in the cache is authenticated without a thread."""

    async def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:  # type: ignore[override]
        """The framework's `dispatch`, in English, awaiting the handler."""
        with override("en"):
            return await self._dispatch(request, *args, **kwargs)

    async def _dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
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
        except Exception as error:  # noqa: BLE001 (every refusal and every failure is answered by `exception_handler`)
            response = self.handle_exception(error)
        self.response = self.finalize_response(self.request, response, *args, **kwargs)
        return await acompress(request, self.response, self._authenticator()) if self.compresses else self.response


class NotFoundView(ApiView):
    """Answers 404 in the shape of all refusals, whatever the method."""

    schema = None

    def initial(self, request: Any, *args: Any, **kwargs: Any) -> None:
        """Refuse."""
        raise NotFound(f"there is nothing at {request.path[:200]}; see {reverse('streaming:docs')}/")
