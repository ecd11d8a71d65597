"""Pages of a layer's features in the order of their keys, which no change between two pages can disturb.

Features come from this process's replica of the layer, brought up to date first, or from Redis where no engine runs.
`page_of` examines every feature once, so it runs off the event loop.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from heapq import nsmallest
from typing import Any

import msgspec
from asgiref.sync import sync_to_async
from django.http import HttpRequest

from streaming.core.feed import Feed
from streaming.core.items import Item
from streaming.engine.lifespan import running
from streaming.engine.responses import GEOJSON
from streaming.features.versions import with_version

from .queries import PageQuery, after_parameter

MAX_PAGE_BYTES = 16 * 1024 * 1024
"""A page ends early when it would be larger."""


@dataclass(slots=True)
class Page:
    """One page of features as GeoJSON.

    `matched` counts all features that match; the next page begins behind the key `next_after` (None: this is the last).
    """

    features: list[bytes]
    matched: int
    next_after: str | None

    def body(self, request: HttpRequest, **more: Any) -> bytes:
        """The FeatureCollection, with `more` members."""
        rest = {
            **more,
            "links": list(_links(request, self.next_after)),
            "numberMatched": self.matched,
            "numberReturned": len(self.features),
            "timeStamp": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        }
        return b"".join((b'{"type":"FeatureCollection","features":[', b",".join(self.features), b"],", msgspec.json.encode(rest)[1:]))


async def current_items(feed: Feed) -> Sequence[Item]:
    """Every feature stored before this call."""
    runtime = running()
    if runtime is None or runtime.hub.loop is not asyncio.get_running_loop():
        return await sync_to_async(_read)(feed)
    replica = await runtime.hub.replica(feed)
    await runtime.hub.refresh(replica)
    return list(replica.items.values())


def page_of(items: Sequence[Item], query: PageQuery) -> Page:
    """One page of the features that match."""
    matching = _Matching(items, query)
    found = nsmallest(query.limit + 1, matching, key=_key)
    page: list[bytes] = []
    size = 0
    for item in found[: query.limit]:
        text = query.presentation.geojson(item)
        if query.versions:
            text = with_version(text, item.value)
        if page and size + len(text) > MAX_PAGE_BYTES:
            break
        page.append(text)
        size += len(text)
    more = len(page) < len(found)
    return Page(page, matching.count, found[len(page) - 1].key if more else None)


class _Matching:
    """Iterates over the matching features behind `after`, and counts all that match."""

    def __init__(self, items: Sequence[Item], query: PageQuery) -> None:
        self._items = items
        self._query = query
        self.count = 0

    def __iter__(self) -> Iterator[Item]:
        matches, after = self._query.condition.matches, self._query.after
        for item in self._items:
            if matches(item):
                self.count += 1
                if item.key > after:
                    yield item


def _key(item: Item) -> str:
    return item.key


def _read(feed: Feed) -> list[Item]:
    return list(feed.read_sync().items.values())


def _links(request: HttpRequest, next_after: str | None) -> Iterator[dict[str, str]]:
    yield {"rel": "self", "type": GEOJSON, "href": request.build_absolute_uri()}
    if next_after is not None:
        parameters = request.GET.copy()
        parameters["after"] = after_parameter(next_after)
        yield {"rel": "next", "type": GEOJSON, "href": request.build_absolute_uri(f"{request.path}?{parameters.urlencode()}")}
