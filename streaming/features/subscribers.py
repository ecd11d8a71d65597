"""Who follows a layer, as the recorder has written it."""

from __future__ import annotations

from streaming.models import Subscription


def subscriber_count(layer: str) -> int:
    """Of all processes, about a second ago."""
    return Subscription.objects.filter(feed=f"layer:{layer}").count()
