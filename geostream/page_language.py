"""Django's `LocaleMiddleware`, for pages: what programs read is the same in every language, and caches are to know that."""

from __future__ import annotations

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.middleware.locale import LocaleMiddleware
from django.utils.cache import patch_vary_headers


class PageLanguage(LocaleMiddleware):
    """Chooses the language for all; only pages say that they have one, and differ by what browsers prefer."""

    def process_response(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        """The response, with the headers of its language if it is a page."""
        is_page = response.headers.get("Content-Type", "").partition(";")[0].strip().lower() == "text/html"
        if not is_page:
            return response
        patch_vary_headers(response, ["Cookie"])  # it may have been chosen in the menu
        return super().process_response(request, response)
