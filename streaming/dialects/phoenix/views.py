"""The HTTP side of long polling. The status is always 200; the real one is in the body, as Phoenix's clients expect."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.csrf import csrf_exempt

from streaming.core.errors import StreamError
from streaming.engine.auth import ANONYMOUS, authenticate, check_origin
from streaming.engine.conf import conf
from streaming.engine.lifespan import get_runtime

from .consumer import user_of
from .frames import FrameError
from .longpoll import BAD, GONE, node_of
from .polls import Polls
from .serializers import text_version_of

FORBIDDEN = 403
AGAIN = 500
"""Besides 200, 204, 403 and 410 all that clients know: they open another session. Anything else ends them."""
TOKEN_HEADER = "X-Phoenix-Longpoll-Token"
AUTH_HEADER = "X-Phoenix-AuthToken"


@csrf_exempt  # a poller's token is a secret that other pages do not know
async def longpoll(request: HttpRequest) -> HttpResponse:
    """One request of a poller."""
    try:
        if origin := request.headers.get("Origin", ""):
            check_origin(origin, request.headers.get("Host", ""))
    except StreamError:
        return _answer(request, FORBIDDEN)
    if request.method == "OPTIONS":
        return _allowed(request)
    given = request.headers.get(TOKEN_HEADER) or next(iter(reversed(request.GET.getlist("token"))), None)
    if request.method == "POST":
        return await _post(request, given)
    if request.method != "GET":
        return HttpResponse(status=405, headers={"Allow": "GET, POST, OPTIONS"})
    return await _poll(request, given)


async def _poll(request: HttpRequest, given: str | None) -> HttpResponse:
    runtime = await get_runtime()
    try:
        if given is not None and node_of(given) is not None:
            status, messages = await runtime.service(Polls).ask(given, None)
            if status != GONE:
                return _answer(request, status, token=given, messages=messages)
        return _answer(request, GONE, token=await _open(request), messages=[])
    except FrameError:
        return _answer(request, FORBIDDEN)
    except StreamError as error:
        return _answer(request, FORBIDDEN if error.kind.status in {401, 403} else AGAIN)


async def _post(request: HttpRequest, given: str | None) -> HttpResponse:
    if given is None or node_of(given) is None:
        return _answer(request, GONE)
    body = request.read(conf.MAX_MESSAGE_BYTES + 1)  # never more of it in memory
    if len(body) > conf.MAX_MESSAGE_BYTES:
        return _answer(request, BAD)
    try:
        status, _ = await (await get_runtime()).service(Polls).ask(given, body)
    except StreamError as error:
        return _answer(request, error.kind.status)
    return _answer(request, status)


async def _open(request: HttpRequest) -> str:
    serializer = text_version_of(request.GET.get("vsn"))
    runtime = await get_runtime()
    token = request.headers.get(AUTH_HEADER) or request.GET.get("userToken") or _application_token(request)
    principal = await authenticate(_as_of_own_page(request))
    if principal is ANONYMOUS and token:
        principal = await user_of(token)
    return runtime.service(Polls).open(request.META.get("REMOTE_ADDR", ""), principal, serializer, token or None)


def _application_token(request: HttpRequest) -> str | None:
    """`token` may also be the application's own parameter: what is not a poller's is one."""
    return next((token for token in request.GET.getlist("token") if token and node_of(token) is None), None)


def _as_of_own_page(request: HttpRequest) -> dict[str, Any]:
    """Browsers send no Origin with a GET of one's own page, but mark it with Sec-Fetch-Site: then its session counts."""
    scope: dict[str, Any] = request.scope  # type: ignore[attr-defined]  # of ASGI requests
    if request.headers.get("Sec-Fetch-Site") != "same-origin" or "Origin" in request.headers:
        return scope
    host = request.headers.get("Host", "")
    return {**scope, "headers": [*scope["headers"], (b"origin", f"{request.scheme}://{host}".encode("latin-1"))]}


def _answer(request: HttpRequest, status: int, **members: Any) -> HttpResponse:
    response = JsonResponse({"status": status, **members})
    response["Access-Control-Allow-Origin"] = "*"
    response["Cache-Control"] = "max-age=0, private, must-revalidate"
    return response


def _allowed(request: HttpRequest) -> HttpResponse:
    response = HttpResponse()
    response["Access-Control-Allow-Origin"] = "*"
    response["Access-Control-Allow-Methods"] = "GET, POST, OPTIONS"
    response["Access-Control-Allow-Headers"] = request.headers.get("Access-Control-Request-Headers", "content-type")
    response["Access-Control-Max-Age"] = "3600"
    return response
