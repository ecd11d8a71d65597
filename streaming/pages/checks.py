"""System check of the pages' templates."""

from __future__ import annotations

from typing import Any

from django.core.checks import CheckMessage, Error, Tags, register
from django.template import TemplateDoesNotExist
from django.template.loader import get_template


@register(Tags.templates)
def check_templates(**kwargs: Any) -> list[CheckMessage]:
    """Django's templates are looked for in apps; that is an option."""
    try:
        get_template("streaming/base.html")
    except TemplateDoesNotExist:
        return [Error("The templates of GeoStream are not found.", hint='"APP_DIRS": True, in an entry of TEMPLATES', id="streaming.E014")]
    return []
