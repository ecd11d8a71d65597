"""The ASGI application for HTTP, with a short way for publishing features with a bearer token, and for tiles.

Django's middleware moves a request between the event loop and threads some fourteen times, for sessions, messages, CSRF
and the like, of which such a request uses nothing. Here it goes straight through Django's URL resolver to the same
view, under whatever prefix the project has included GeoStream's URLs. Every other request takes the usual way: also for
a tile of a private tileset whose reader may have a session.
"""

from __future__ import annotations

import re
from functools import lru_cache, partial
from io import BytesIO
from typing import Any

from django.conf import settings
from django.core.exceptions import RequestAborted
from django.core.handlers.asgi import ASGIHandler, get_script_prefix
from django.core.handlers.exception import convert_exception_to_response
from django.http import HttpRequest, HttpResponseBase
from django.urls import Resolver404, ResolverMatch, get_resolver, resolve, set_script_prefix

from streaming.engine.conf import conf
from streaming.engine.raw_http import find_raw

from .authentication import is_valid_token
from .direct_tiles import DirectTiles
from .request_body import LINES, LimitedReceive, StreamedBody
from .tiles import TileView
from .tilesets import is_public_tileset

_TILE = re.compile(
    r"(?P<tiles>(?:.*/)?tiles/)(?P<tileset>[^/]+)/"
    r"(?:tilejson\.json|(?P<z>[0-9]+)/(?P<x>[0-9]+)/(?P<y>[0-9]+)\.(?P<ending>[a-z]{3,4}))"
)
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
                if streamed is None:
                    request.client_left = partial(_until_left, receive)  # type: ignore[attr-defined]  # for views that hold it back
            response: Any = refusal if request is None else await self.run_get_response(request)
            if not response.streaming:
                response.headers.setdefault("Content-Length", str(len(response.content)))
            if settings.SECURE_CONTENT_TYPE_NOSNIFF:
                response.headers.setdefault("X-Content-Type-Options", "nosniff")
            await self.send_response(response, send)

    def resolve_request(self, request: HttpRequest) -> ResolverMatch:
        """Where the path leads to. Publishers ask for few, again and again, and Django would try one pattern after the other each time."""
        match = request.resolver_match = _match(request.path_info, settings.ROOT_URLCONF)
        return match

    async def _respond(self, request: HttpRequest) -> HttpResponseBase:
        request.get_host()  # refuses hosts that are not allowed
        response: HttpResponseBase = await self._get_response_async(request)  # type: ignore[attr-defined]
        return response


async def _until_left(receive: Any) -> None:
    """Return when the client has hung up; its body has been read."""
    while (await receive())["type"] != "http.disconnect":
        pass


class HttpApplication:
    """Answers HTTP requests: publishing with a token and tiles directly, raw views by themselves, all else through the project's Django.

    The body of a request without a valid token is limited. A client with one may send lines without end; whether the
    user is active and may publish is asked later, by the view. A view whose class names its own limit has that one for everybody:
    `largest_body` is the name of a setting, `refuse_body` makes the refusal.
    """

    def __init__(self, django: Any) -> None:
        get_resolver().url_patterns  # noqa: B018 (imports all views: with the first request that would hold up who is connected)
        self._django = django
        self._direct = DirectHandler()
        self._tiles = DirectTiles()

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        """Answer one request."""
        tile = _TILE.fullmatch(scope["path"][:MAX_PATH])
        headers = dict(scope["headers"])
        if tile is not None:
            if await self._has_answered(tile, scope, headers, send):
                return
        elif (raw := find_raw(scope, settings.ROOT_URLCONF)) is not None:
            application, arguments = raw
            await application(scope, receive, send, **arguments)
            return
        token = _bearer_token(headers)
        handler = self._direct if await _skips_middleware(scope, headers, token) else self._django
        limited = _own_limit(scope, receive, send)
        if limited is None:
            if token is not None and is_valid_token(token):
                await handler(scope, receive, send)
                return
            limited = LimitedReceive(receive, send)
        if limited.allows(headers.get(b"content-length", b"0")):
            await handler(scope, limited, send)
        else:
            await limited.refuse()

    async def _has_answered(self, tile: re.Match[str], scope: dict[str, Any], headers: dict[bytes, bytes], send: Any) -> bool:
        """Whether a tile was at hand and has been sent."""
        if tile["ending"] is None or scope["method"] not in ("GET", "HEAD") or settings.SECURE_SSL_REDIRECT:
            return False
        path = _same_for_all_tiles(tile).removeprefix(get_script_prefix(scope))
        return _view_class(path, settings.ROOT_URLCONF) is TileView and await self._tiles.answer(tile, scope, headers, send)


def _own_limit(scope: dict[str, Any], receive: Any, send: Any) -> LimitedReceive | None:
    path = scope["path"].removeprefix(get_script_prefix(scope))
    if scope["method"] in ("GET", "HEAD", "OPTIONS") or len(path) > MAX_PATH:
        return None
    view = _view_class(path, settings.ROOT_URLCONF)
    setting = getattr(view, "largest_body", "")
    return LimitedReceive(receive, send, getattr(conf, setting), view.refuse_body) if setting else None


def _bearer_token(headers: dict[bytes, bytes]) -> str | None:
    scheme, _, token = headers.get(b"authorization", b"").decode("latin-1").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None


async def _skips_middleware(scope: dict[str, Any], headers: dict[bytes, bytes], token: str | None) -> bool:
    method = scope["method"]
    if method not in ("GET", "HEAD", "POST") or (method == "POST" and token is None) or settings.SECURE_SSL_REDIRECT:
        return False
    path = scope["path"].removeprefix(get_script_prefix(scope))
    if method == "POST":
        return len(path) <= MAX_PATH and method in _methods_without_middleware(path, settings.ROOT_URLCONF)
    tile = _TILE.fullmatch(path) if len(path) <= MAX_PATH else None
    if tile is None or method not in _methods_without_middleware(_same_for_all_tiles(tile), settings.ROOT_URLCONF):
        return False
    return token is not None or b"cookie" not in headers or await is_public_tileset(tile["tileset"])


def _same_for_all_tiles(tile: re.Match[str]) -> str:
    """The path of a tile that leads to the same view, one for all tiles of a tileset."""
    return tile[0] if tile["ending"] is None else f"{tile['tiles']}{tile['tileset']}/0/0/0.{tile['ending']}"


def _methods_without_middleware(path: str, urlconf: str) -> tuple[str, ...]:
    """The methods for which the view that a path leads to needs no middleware."""
    methods: tuple[str, ...] = getattr(_view_class(path, urlconf), "skips_middleware", ())
    return methods


_match = lru_cache(1024)(resolve)


@lru_cache(1024)
def _view_class(path: str, urlconf: str) -> Any:
    """The class of the view that a path leads to; None if there is none, or it is a function."""
    try:
        view = resolve(path, urlconf).func
    except Resolver404:
        return None
    return getattr(view, "view_class", None)


def _sends_lines(scope: dict[str, Any]) -> bool:
    headers = dict(scope["headers"])
    kind = headers.get(b"content-type", b"").decode("latin-1").partition(";")[0].strip().lower()
    return kind in LINES and b"content-encoding" not in headers
