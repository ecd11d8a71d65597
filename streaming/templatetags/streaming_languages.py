"""What pages say in which language they are."""

from __future__ import annotations

from typing import Any

from django import template
from django.conf import settings
from django.template.context import RequestContext

from streaming.engine import languages

register = template.Library()


@register.simple_tag
def page_language() -> str:
    """The attribute `lang` of the page."""
    return languages.page_language()


@register.simple_tag
def texts_url() -> str | None:
    """The address of the texts of its scripts; None if they need none."""
    return languages.texts_url()


@register.inclusion_tag("streaming/language_menu.html", takes_context=True)
def language_menu(context: RequestContext) -> dict[str, Any]:
    """Lets its reader choose another language: where the project has more than one, and Django's `LocaleMiddleware` to keep the choice."""
    request = context.get("request")
    choosable = settings.USE_I18N and hasattr(request, "LANGUAGE_CODE")
    found = languages.languages() if choosable else ()
    return {
        "languages": found if len(found) > 1 else (),
        "current": languages.page_language(),
        "request": request,
        "csrf_token": context.get("csrf_token"),
    }
