"""The topics that are always there. They come after the project's own."""

from __future__ import annotations

from collections.abc import Sequence

from ..routes import TopicPattern, topic


def builtin_patterns(open_topics: bool) -> Sequence[TopicPattern]:
    """`open_topics`: every other topic is open to whoever has a token for it, and bridged to Redis."""
    from streaming.operators.channel import AdminChannel

    from .layer import LayerChannel
    from .open import OpenChannel
    from .system import SystemChannel

    patterns = [topic("system", SystemChannel), topic("admin", AdminChannel), topic("layer:*", LayerChannel)]
    return (*patterns, topic("*", OpenChannel)) if open_topics else patterns
