"""GeoStream's engine. A Django project publishes with the functions named here; they load Django only when used."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .features.publishing import adelete, apublish, apublish_event, delete, publish, publish_event

__all__ = ["adelete", "apublish", "apublish_event", "delete", "publish", "publish_event"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        return getattr(import_module("streaming.features.publishing"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
