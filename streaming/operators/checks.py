"""System check of where the operators' pages are: among the paths of the admin, which takes all of its paths for itself."""

from __future__ import annotations

from typing import Any

from django.core.checks import CheckMessage, Tags, Warning, register
from django.urls import NoReverseMatch, Resolver404, resolve, reverse


@register(Tags.urls)
def check_operators_page(**kwargs: Any) -> list[CheckMessage]:
    """The admin's paths come after those of GeoStream."""
    try:
        found = resolve(reverse("streaming:admin-live")).view_name
    except (NoReverseMatch, Resolver404):
        return []
    if found == "streaming:admin-live":
        return []
    hint = 'path("", include("streaming.urls")) belongs before the path of the admin.'
    return [Warning("The paths of the admin hide the pages of operators.", hint=hint, id="streaming.W002")]
