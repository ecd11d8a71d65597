"""The languages of pages: which there are, which one a page is in, and the texts of its scripts.

Django decides (`LocaleMiddleware`, `LANGUAGE_CODE`, `USE_I18N` of the project). Where it offers a language that these texts are not
translated into, a page says what it is in fact in: that of the fallback.
"""

from __future__ import annotations

from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

from django.conf import settings
from django.core.signals import setting_changed
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.cache import get_conditional_response, patch_vary_headers
from django.utils.text import capfirst
from django.utils.translation import get_language_info, override, pgettext, to_language
from django.views.decorators.http import require_safe
from django.views.i18n import JavaScriptCatalog

from .compression import as_gzip, takes_gzip
from .registry import engine_apps

ORIGINAL = "en"
"""What the texts in the code are in."""
KEPT = "public, max-age=31536000, immutable"
_LOCALE = Path(__file__).parents[1] / "locale"


class Language(NamedTuple):
    """A language that a page can be in."""

    code: str
    name: str
    """What it calls itself."""


def page_language() -> str:
    """The language that texts come out in now: the code that each catalogue has of itself."""
    return pgettext("code of the language of this catalogue", "en")


def languages() -> tuple[Language, ...]:
    """Those among the project's LANGUAGES that the pages are translated into."""
    codes = [code for code, _ in settings.LANGUAGES]
    rare = _translated().difference(codes)  # of such a language its variants, if they are there: de-at, de-ch
    chosen = (code for code in codes if code in _translated() or code.partition("-")[0] in rare)
    return tuple(Language(code, capfirst(get_language_info(code)["name_local"])) for code in chosen)


@lru_cache
def _translated() -> frozenset[str]:
    """What there are catalogues for, here or in the project's LOCALE_PATHS."""
    folders = (_LOCALE, *map(Path, settings.LOCALE_PATHS))
    found = {to_language(path.parts[-3]) for folder in folders for path in folder.glob("*/LC_MESSAGES/django.mo")}
    return frozenset({ORIGINAL, *filter(_is_complete, found)})


def _is_complete(code: str) -> bool:
    with override(code):
        return page_language() == code


def texts_url() -> str | None:
    """The address of the texts of scripts in the language of the page; None if that is the one that they are written in."""
    code = page_language()
    return None if code == ORIGINAL else reverse("streaming:texts", args=[code, _catalogue(code).version])


class _Catalogue(NamedTuple):
    version: str
    script: bytes


@lru_cache
def _catalogue(code: str) -> _Catalogue:
    """Django's catalogue of the texts of all installed parts."""
    with override(code):
        script = JavaScriptCatalog(packages=[app.name for app in engine_apps()]).get(HttpRequest()).content
    return _Catalogue(sha256(script).hexdigest()[:12], script)


@require_safe
def texts(request: HttpRequest, language: str, version: str) -> HttpResponse:
    """The texts of scripts in a language. Its address has the version, and is kept for good; another version is not."""
    if language not in _translated():
        raise Http404(f"the pages are not in {language}")
    catalogue = _catalogue(language)
    response = HttpResponse(catalogue.script, content_type="text/javascript; charset=utf-8")
    response.headers["Cache-Control"] = KEPT if version == catalogue.version else "no-cache"
    response.headers["ETag"] = f'"{catalogue.version}"'
    if takes_gzip(request):
        as_gzip(response)
    patch_vary_headers(response, ["Accept-Encoding"])
    return get_conditional_response(request, response.headers["ETag"], response=response) or response


def _forget(setting: str, **kwargs: object) -> None:
    if setting in ("LANGUAGES", "LANGUAGE_CODE", "LOCALE_PATHS", "USE_I18N", "INSTALLED_APPS"):
        _translated.cache_clear()
        _catalogue.cache_clear()


setting_changed.connect(_forget)
