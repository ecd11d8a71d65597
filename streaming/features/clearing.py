"""Removes all features of a layer, batch by batch; subscribers see each of them go."""

from __future__ import annotations

from collections.abc import Iterator

from streaming.core.feed import MAX_BATCH, Feed

from . import dictionaries


def clear(feed: Feed) -> Iterator[int]:
    """Delete what is there now; yields how many features went, after each batch. What is published meanwhile stays."""
    keys = feed.keys_sync()
    for start in range(0, len(keys), MAX_BATCH):
        yield feed.delete_sync(keys[start : start + MAX_BATCH]).count("deleted")
    dictionaries.forget_sync(feed.name.removeprefix("layer:"))
