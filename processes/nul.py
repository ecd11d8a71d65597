"""The character NUL, which JSON may hold in texts and databases may not."""

from __future__ import annotations

from typing import Any

WHY = "a text holds the character NUL, which databases cannot store"
ESCAPED = b"\\u0000"
"""As it is in JSON, where it cannot be in another way."""


def has_nul(value: Any) -> bool:
    """Whether a text in JSON, or a name, holds it."""
    if isinstance(value, str):
        return "\0" in value
    if isinstance(value, dict):
        return any("\0" in name or has_nul(member) for name, member in value.items())
    return isinstance(value, list) and any(map(has_nul, value))


def without_nul(value: Any) -> Any:
    """The same with the replacement character, for what people read."""
    if isinstance(value, str):
        return value.replace("\0", "\ufffd")
    if isinstance(value, dict):
        return {without_nul(name): without_nul(member) for name, member in value.items()}
    return [without_nul(member) for member in value] if isinstance(value, list) else value
