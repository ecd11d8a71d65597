"""Names of keys in Redis, so that what one step touches is on one node of a cluster.

A cluster gives keys with the same text in braces the same node. Each layer, each tileset and the events are spread: the keys of one feed
stay together, and no step touches two of them. All else is one group, for its steps do: topics, who is on them and what they keep, which
processes there are, the folder of files. It is small, or as much work for one Redis as for several.
"""

from __future__ import annotations

COMMON = "geostream:{common}:"
"""The beginning of all keys but those of feeds that are spread."""
COMMON_FAMILIES = ("presence:", "topic:", "files")
"""How the names of feeds begin that are not spread."""

_SPREAD = "geostream:{"
META = ":meta"


def feed_prefix(feed: str) -> str:
    """The beginning of a feed's keys; a colon follows."""
    return COMMON + feed if feed.startswith(COMMON_FAMILIES) else f"{_SPREAD}{feed}}}"


def feed_of_meta(key: str) -> str:
    """The feed whose key of epoch and number this is."""
    prefix = key.removesuffix(META)
    return prefix.removeprefix(COMMON) if prefix.startswith(COMMON) else prefix.removeprefix(_SPREAD).removesuffix("}")


ALL_META = f"{_SPREAD}*{META}"
"""The pattern of these keys, of all feeds."""
