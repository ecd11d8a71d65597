"""What is told in one turn of the loop, whoever says it: a channel of Redis or a layer.

A message is framed once for all who are told the same, written at once with all else of its turn, and told once to each, however many
audiences of it a listener is in.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Sequence
from typing import Protocol

from streaming.engine.conf import conf

from ..envelopes import envelope, for_reference
from ..geojson.client_filters import Filters, Value
from .policies import Ruled, policy_of, subject_of
from .subscriber_index import Audience
from .subscribers import Listener, Shared

logger = logging.getLogger(__name__)


class Telling(Protocol):
    """Something to be told."""

    def candidates(self, audience: Audience) -> Collection[Listener]:
        """Those of an audience it may concern."""

    def told(self, filters: Filters, reference: str | None) -> bytes | None:
        """As a client with these filters and this reference is told, the same bytes for all of them; None if it is not."""


class Message:
    """A value, said on a channel or a layer."""

    __slots__ = ("_envelopes", "channel", "value")

    def __init__(self, channel: str, value: Value) -> None:
        self.channel = channel
        self.value = value
        self._envelopes: dict[tuple[int, str | None], bytes] = {}  # by content: the value keeps its contents as long as it lives

    def candidates(self, audience: Audience) -> Collection[Listener]:
        """Those whose boxes are where it is."""
        return audience.candidates(self.value)

    def told(self, filters: Filters, reference: str | None) -> bytes | None:
        """The envelope, if the value passes."""
        return self.envelope(filters, reference) if filters.passes(self.value) else None

    def envelope(self, filters: Filters, reference: str | None) -> bytes:
        """The value as these filters show it."""
        content = filters.content(self.value)
        made = self._envelopes.get((id(content), reference))
        if made is None:
            made = envelope(self.channel, content) if reference is None else for_reference(self.envelope(filters, None), reference)
            made = self._envelopes[id(content), reference] = self._ruled(made)
        return made

    def _ruled(self, made: bytes) -> bytes:
        policy = policy_of(conf.REDIS_SLOW, self.channel)
        return made if policy == "drop" else Ruled(made, policy, subject_of(self.channel, self.value.document))


class Turn:
    """What is to be told, by listener."""

    def __init__(self) -> None:
        self._runs: dict[Listener, list[bytes]] = {}

    def add(self, telling: Telling, audiences: Sequence[Audience]) -> None:
        """Something for those whose filters let it pass, with the reference of the first audience they are in."""
        seen = set[Listener]()
        for audience in audiences:
            for listener in telling.candidates(audience):
                if listener not in seen:
                    seen.add(listener)
                    told = telling.told(listener.filters, audience.references[listener])
                    if told is not None:
                        self._runs.setdefault(listener, []).append(told)

    def deliver(self) -> None:
        """Tell it. Whoever cannot be told must connect again."""
        shared: Shared = {}
        for listener, run in self._runs.items():
            try:
                listener.deliver(run, shared)
            except Exception:
                logger.exception("messages of Redis could not be told")
                listener.outbox.on_slow("a message could not be told; reconnect")
