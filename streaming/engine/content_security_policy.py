"""The Content-Security-Policy of HTML pages: a middleware. What is inline does not run, and what pages load is of this site.

Django has such a middleware from 6.0 on; this one is for 5.2 too, and knows the origins that settings of parts name.
A view whose page needs more says so with `allow`; one that sets the header itself keeps it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import Any
from urllib.parse import urlsplit

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.conf import settings
from django.core.exceptions import DisallowedHost
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from streaming.core.pattern_map import split_list

from .conf import conf
from .registry import engine_apps

HEADER = "Content-Security-Policy"
Sources = dict[str, list[str]]


class ContentSecurityPolicy:
    """Sets the header on HTML. It stands behind what serves static files: pages of a front end of one's own are left alone."""

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], Any]) -> None:
        self._get_response = get_response
        self._is_async = iscoroutinefunction(get_response)
        if self._is_async:
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        """The response, with the policy if it is a page."""
        if self._is_async:
            return self._later(request)
        return protect(request, self._get_response(request))

    async def _later(self, request: HttpRequest) -> HttpResponseBase:
        return protect(request, await self._get_response(request))


def allow(response: HttpResponseBase, directive: str, *sources: str) -> None:
    """Let the page of a response have more than others: `allow(response, "style-src", "'sha256-…'")`."""
    vars(response).setdefault("csp_sources", {}).setdefault(directive, []).extend(sources)


def protect(request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
    """Set the header, unless the response is no page, has one, or is one of Django's pages about errors in debug mode."""
    is_page = response.headers.get("Content-Type", "").partition(";")[0].strip().lower() in ("text/html", "application/xhtml+xml")
    if is_page and HEADER not in response.headers and not _is_debug_page(request, response):
        sources = policy(request)
        for directive, more in getattr(response, "csp_sources", {}).items():
            sources[directive] = [*sources.get(directive, sources["default-src"]), *more]
        response.headers[HEADER] = "; ".join(f"{directive} {' '.join(dict.fromkeys(each))}" for directive, each in sources.items())
    return response


def policy(request: HttpRequest) -> Sources:
    """What every page may."""
    code = ["'self'", *_origins(_static_addresses())]
    data = [*code, *_origins(_named_addresses()), *split_list(conf.PAGE_ORIGINS)]
    return {
        "default-src": ["'self'"],
        "script-src": code,
        "style-src": [*code, *split_list(conf.PAGE_ORIGINS)],
        "img-src": [*data, "data:", "blob:"],
        "font-src": data,
        "connect-src": [*data, *_websockets(request)],
        "object-src": ["'none'"],
        "base-uri": ["'none'"],
        "form-action": ["'self'"],
        "frame-ancestors": split_list(conf.FRAME_ANCESTORS) or ["'none'"],
    }


def _static_addresses() -> list[str]:
    return [settings.STATIC_URL or "", settings.MEDIA_URL or ""]


def _named_addresses() -> list[str]:
    """Where parts say that their pages load from."""
    return [str(conf.BASEMAP), *(str(getattr(conf, name)) for app in engine_apps() for name in app.page_addresses)]


def _origins(addresses: Iterable[str]) -> list[str]:
    """The origins of those that are not of this site anyway."""
    found = [urlsplit(address) for address in addresses]
    return [f"{each.scheme}://{each.netloc}" if each.scheme else each.netloc for each in found if each.netloc]


def _websockets(request: HttpRequest) -> list[str]:
    """Our own, by name: not for every browser `'self'` is also ws:."""
    try:
        host = request.get_host()
    except DisallowedHost:
        return []
    return [f"ws://{host}", f"wss://{host}"]


def _is_debug_page(request: HttpRequest, response: HttpResponseBase) -> bool:
    """Django's pages for developers have inline scripts and styles."""
    return bool(settings.DEBUG) and (response.status_code == 500 or (response.status_code == 404 and request.resolver_match is None))
