"""Messages for subscribers, from a channel of Redis or from a layer, and their delivery in one turn of the event loop.

A message is framed once for all subscribers that are sent the same, written in one piece with the others of its turn, and sent to each
subscriber once, however many of its subscriptions match.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Sequence
from typing import Protocol

from streaming.engine.conf import conf

from ..envelopes import envelope, for_reference
from ..geojson.client_filters import ClientFilters
from ..geojson.values import Value
from .policies import PolicyEnvelope, conflation_key, slow_client_policy
from .subscriber_index import SubscriberIndex
from .subscribers import FrameCache, Subscriber

logger = logging.getLogger(__name__)


class Publication(Protocol):
    """A message as each subscriber sees it."""

    def candidates(self, index: SubscriberIndex) -> Collection[Subscriber]:
        """The subscribers that it may concern."""

    def encode_for(self, filters: ClientFilters, reference: str | None) -> bytes | None:
        """The envelope for these filters and this reference, the same bytes each time; None if the filters keep it out."""


class ChannelMessage:
    """A value that was published on a channel."""

    __slots__ = ("_envelopes", "channel", "value")

    def __init__(self, channel: str, value: Value) -> None:
        self.channel = channel
        self.value = value
        self._envelopes: dict[tuple[int, str | None], bytes] = {}  # by the content's id: the value keeps its contents as long as it lives

    def candidates(self, index: SubscriberIndex) -> Collection[Subscriber]:
        """The subscribers whose boxes are where it is."""
        return index.candidates(self.value)

    def encode_for(self, filters: ClientFilters, reference: str | None) -> bytes | None:
        """The envelope, if the value passes."""
        return self.envelope(filters, reference) if filters.passes(self.value) else None

    def envelope(self, filters: ClientFilters, reference: str | None) -> bytes:
        """The value as these filters show it."""
        content = filters.content(self.value)
        made = self._envelopes.get((id(content), reference))
        if made is None:
            made = envelope(self.channel, content) if reference is None else for_reference(self.envelope(filters, None), reference)
            made = self._envelopes[id(content), reference] = self._with_policy(made)
        return made

    def _with_policy(self, made: bytes) -> bytes:
        policy = slow_client_policy(conf.REDIS_SLOW, self.channel)
        return made if policy == "drop" else PolicyEnvelope(made, policy, conflation_key(self.channel, self.value.document))


class DeliveryBatch:
    """The envelopes of one turn of the event loop, by subscriber."""

    def __init__(self) -> None:
        self._envelopes: dict[Subscriber, list[bytes]] = {}

    def add(self, publication: Publication, indexes: Sequence[SubscriberIndex]) -> None:
        """Add a message for all whose filters let it pass, with the reference of the first index that a subscriber is in."""
        seen = set[Subscriber]()
        for index in indexes:
            for subscriber in publication.candidates(index):
                if subscriber not in seen:
                    seen.add(subscriber)
                    made = publication.encode_for(subscriber.filters, index.references[subscriber])
                    if made is not None:
                        self._envelopes.setdefault(subscriber, []).append(made)

    def deliver(self) -> None:
        """Send or queue everything. A client for which that fails must connect again."""
        cache: FrameCache = {}
        for subscriber, envelopes in self._envelopes.items():
            try:
                subscriber.deliver(envelopes, cache)
            except Exception:
                logger.exception("messages of Redis could not be delivered")
                subscriber.outbox.on_slow("a message could not be delivered; reconnect")
