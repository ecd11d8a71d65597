"""What the templates of processes need besides Django's own tags."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django import template
from django.utils.translation import gettext_lazy as _

register = template.Library()
STATUSES = {
    "accepted": _("accepted"),
    "running": _("running"),
    "successful": _("successful"),
    "failed": _("failed"),
    "dismissed": _("dismissed"),
}


@register.filter
def get(mapping: Mapping[str, Any], key: str) -> Any:
    """The value of a key that is a variable."""
    return mapping.get(key)


@register.filter
def status_word(status: str) -> str:
    """The state of a job, in the language of the page."""
    return str(STATUSES.get(status, status))


@register.filter
def moment(text: str) -> str:
    """A time in UTC as people read it: `2026-11-29 17:12:51 UTC`."""
    return f"{text[:19].replace('T', ' ')} UTC"
