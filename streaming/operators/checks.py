"""System check of where the operators' page is: among the paths of the admin, which takes all of its paths for itself."""

from __future__ import annotations

from typing import Any

from django.core.checks import CheckMessage, Tags, Warning, register
from django.urls import NoReverseMatch, Resolver404, resolve, reverse


@register(Tags.urls)
def check_operators_page(**kwargs: Any) -> list[CheckMessage]:
    """The admin's paths come after those of GeoStream."""
    try:
        found = resolve(reverse("streaming:operators")).view_name
    except (NoReverseMatch, Resolver404):
        return []
    if found == "streaming:operators":
        return []
    hint = 'path("", include("streaming.urls")) belongs before the path of the admin.'
    return [Warning("The paths of the admin hide the operators' page.", hint=hint, id="streaming.W002")]
