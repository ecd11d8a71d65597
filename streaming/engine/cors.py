"""What pages of other sites may do with this site over HTTP (CORS).

Pages of the origins in `GEOSTREAM_ALLOWED_ORIGINS` may do what pages of this site may. With `*` those of all others may,
too, but without cookies: they read what is public, or show a token. A browser withholds everything else from its page.
"""

from __future__ import annotations

from typing import Any

from django.http import HttpResponseBase
from django.utils.cache import patch_vary_headers

from .origins import allowed_origins

ALLOW = "Access-Control-Allow-Origin"
EXPOSED = "Accept-Patch, Accept-Post, Allow, Content-Disposition, ETag, Link, Location, Preference-Applied, Retry-After, WWW-Authenticate"
PREFLIGHT = {
    "Access-Control-Allow-Headers": (
        "authorization, content-encoding, content-type, idempotency-key, if-match, if-none-match, last-event-id, prefer, x-csrftoken"
    ),
    "Access-Control-Max-Age": "600",
}


def is_preflight(request: Any) -> bool:
    """Whether a browser asks for a page what it may send."""
    return request.method == "OPTIONS" and "HTTP_ACCESS_CONTROL_REQUEST_METHOD" in request.META


def allow_origin(request: Any, response: HttpResponseBase) -> None:
    """Let the page that sent the request read the answer, if its origin may."""
    allowed = allowed_origins()
    if not allowed or ALLOW in response:
        return
    origin = request.META.get("HTTP_ORIGIN")
    if allowed != {"*"}:
        patch_vary_headers(response, ["Origin"])
    if origin in allowed and origin != "*":
        response[ALLOW] = origin
        response["Access-Control-Allow-Credentials"] = "true"
    elif "*" in allowed:
        response[ALLOW] = "*"
    else:
        return
    response["Access-Control-Expose-Headers"] = EXPOSED


def allow_everybody(request: Any, response: HttpResponseBase) -> None:
    """Let every page read the answer; those of the setting also with their cookies."""
    allow_origin(request, response)
    if ALLOW not in response:
        response[ALLOW] = "*"
        response["Access-Control-Expose-Headers"] = EXPOSED
