"""Topics: named places where clients meet. This is what a Django project imports to write its own.

from streaming.topics import Channel, Refused, Reply, topic
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .channel import Channel, Push, Refused, Reply, Stop
    from .publishing import abroadcast, broadcast
    from .routes import topic

__all__ = ["Channel", "Push", "Refused", "Reply", "Stop", "abroadcast", "broadcast", "topic"]

_MODULES = {"topic": "routes", "broadcast": "publishing", "abroadcast": "publishing"}


def __getattr__(name: str) -> Any:
    """Loaded when used: the package is an installed app, which Django imports before models may be."""
    if name in __all__:
        return getattr(import_module(f".{_MODULES.get(name, 'channel')}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
