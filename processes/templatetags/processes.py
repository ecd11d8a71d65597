"""What the templates of processes need besides Django's own tags."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django import template

register = template.Library()


@register.filter
def get(mapping: Mapping[str, Any], key: str) -> Any:
    """The value of a key that is a variable."""
    return mapping.get(key)
