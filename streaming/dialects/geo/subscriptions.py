"""Subscriptions of one connection: views on feeds, joined so that the client misses nothing and sees nothing twice.

Every method that joins a view does so without an `await` between taking the snapshot and joining.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from msgspec import structs

from streaming.core.deliveries import Delivery, LogQueue
from streaming.core.errors import StreamError
from streaming.core.feed import Cursor
from streaming.core.filters import Filter
from streaming.core.follower import Condition
from streaming.core.prefilter import foreseen
from streaming.core.replica import Replica
from streaming.core.view import View
from streaming.engine.catalogue import readable
from streaming.features.events import event_feed
from streaming.features.layers import LayerSettings, catalogue, layer_feed

from .event_encoder import EventEncoder, EventVariant
from .feature_encoder import FeatureEncoder, FeatureVariant
from .messages import Ack, SubscribeEvents, SubscriptionInfo, UpdateSubscription
from .requests import EventCondition, Wanted, updated

if TYPE_CHECKING:
    from .session import GeoSession


class FeatureSubscription:
    """Features of one layer, or of every layer the client may read."""

    kind = "features"

    def __init__(self, session: GeoSession, wanted: Wanted) -> None:
        self.id = wanted.message.subscription_id
        self.since = time.time()
        self.wanted = wanted
        self._session = session
        self._views: dict[str, tuple[LayerSettings, View]] = {}

    @property
    def views(self) -> list[View]:
        """One view a layer."""
        return [view for _, view in self._views.values()]

    @property
    def waiting(self) -> int:
        """Messages that wait for the client."""
        return sum(len(view.queue) for view in self.views)

    @property
    def dropped(self) -> int:
        """Nothing is."""
        return 0

    @property
    def every_layer(self) -> bool:
        """Whether layers may come and go."""
        return self.wanted.message.layer is None

    async def start(self) -> Ack:
        """Join; the ack is sent and what it announces is queued. `StreamError` if anything was refused; then nothing was joined."""
        layers = await self._layers()
        filters = {layer.name: self.wanted.filter_for(layer.time_property) for layer in layers}
        replicas = {layer.name: await self._session.hub.replica(layer_feed(layer)) for layer in layers}
        reached = await self._reach(replicas)
        seen = {name: await foreseen(filters[name], replica.versions(self.wanted.cursor_of(name))) for name, replica in replicas.items()}
        # Nothing awaits from here on: what holds now holds until all have joined.
        recoverable = reached and self._recoverable(replicas)
        told: dict[str, list[Delivery]] = {}
        for layer in layers:
            view = View(self._session.outbox, self._encoder(self.wanted, layer.name), filters[layer.name], self.wanted.message.max_rate)
            told[layer.name] = self._first(replicas[layer.name], seen[layer.name], layer.name, recoverable)
            self._views[layer.name] = (layer, view)
            replicas[layer.name].join(view)
        ack = self._ack("Subscribed to features", told, recoverable if self.wanted.message.cursor is not None else None)
        self._session.send(ack)
        self._tell(told)
        return ack

    async def update(self, message: UpdateSubscription) -> None:
        """Move to other conditions; only the difference is told."""
        wanted = await updated(self.wanted, message)
        seen = {name: await self._foreseen(layer, view, wanted) for name, (layer, view) in list(self._views.items())}
        if self._session.subscriptions.get(self.id) is not self:
            raise StreamError("unknown_subscription", "the subscription has ended: its layer may no longer be read")
        # Nothing awaits from here on. Layers may have come and gone meanwhile.
        filters = {name: wanted.filter_for(layer.time_property) for name, (layer, _) in self._views.items()}
        redraw = wanted.presentation != self.wanted.presentation
        told: dict[str, list[Delivery]] = {}
        for name, (_, view) in self._views.items():
            replica = view.follows
            assert isinstance(replica, Replica)
            told[name] = replica.difference(*seen.get(name, (view.filter, filters[name])), redraw)
            replica.leave(view)
            view.reshape(self._encoder(wanted, name), filters[name], wanted.message.max_rate)
            replica.join(view)
        self.wanted = wanted
        self._session.send(self._ack("Updated", told, None))
        self._tell(told)

    @staticmethod
    async def _foreseen(layer: LayerSettings, view: View, wanted: Wanted) -> tuple[Condition, Condition]:
        """The conditions before and after."""
        before, after = view.filter, wanted.filter_for(layer.time_property)
        items = view.follows.versions() if isinstance(view.follows, Replica) else []
        return await foreseen(before, items) if isinstance(before, Filter) else before, await foreseen(after, items)

    async def review(self) -> None:
        """Layers have changed: join new ones if every layer is wanted, leave those that may not be read any more."""
        layers = await catalogue.all()
        for name, (_, view) in list(self._views.items()):
            layer = layers.get(name)
            if layer is not None and not await readable(layer, self._session.user):
                self._drop(name, view)
        if self.every_layer:
            for layer in layers.values():
                if layer.name not in self._views and await readable(layer, self._session.user):
                    await self._join_new(layer)

    def stop(self) -> None:
        """Leave."""
        for view in self.views:
            _leave(view)
        self._views.clear()

    def info(self) -> SubscriptionInfo:
        """For `list_subscriptions`."""
        cursor = {name: view.cursor for name, (_, view) in self._views.items() if view.follows is not None}
        only = self.wanted.message.layer
        return SubscriptionInfo(
            subscription_id=self.id,
            kind=self.kind,
            layer=only,
            cursor=cursor if only is None else cursor.get(only),
            **self.wanted.describe(),
        )

    def describe(self) -> dict[str, Any]:
        """For the admin."""
        return {"feed": f"layer:{self.wanted.message.layer or '*'}", "filter": self.wanted.describe()}

    async def _layers(self) -> list[LayerSettings]:
        name = self.wanted.message.layer
        if name is None:
            return [layer for layer in (await catalogue.all()).values() if await readable(layer, self._session.user)]
        layer = await catalogue.get(name)
        if not await readable(layer, self._session.user):
            code = "forbidden" if self._session.user.is_authenticated else "unauthenticated"
            raise StreamError(code, f"layer {name!r} is not public")
        return [layer]

    async def _reach(self, replicas: dict[str, Replica]) -> bool:
        """Have everything missed since the client's cursors at hand, if it can be told at all."""
        given = self.wanted.message.cursor
        if given is None or (isinstance(given, dict) and not given.keys() <= replicas.keys()):
            return False
        for name, replica in replicas.items():
            cursor = self.wanted.cursor_of(name)
            if cursor is not None and not await self._session.hub.reach(replica, cursor):
                return False
        return True

    def _recoverable(self, replicas: dict[str, Replica]) -> bool:
        cursors = {name: self.wanted.cursor_of(name) for name in replicas}
        return all(cursor is None or replicas[name].reaches(cursor) for name, cursor in cursors.items())

    def _first(self, replica: Replica, condition: Condition, name: str, recoverable: bool) -> list[Delivery]:
        cursor = self.wanted.cursor_of(name)
        if recoverable and cursor is not None:
            missed = replica.missed(condition, cursor)
            if missed is not None:
                return missed
        if cursor is None and not self._session.wants_snapshot(self.wanted.message.snapshot):
            return []
        return replica.snapshot(condition)

    async def _join_new(self, layer: LayerSettings) -> None:
        condition = self.wanted.filter_for(layer.time_property)
        replica = await self._session.hub.replica(layer_feed(layer))
        if layer.name in self._views or self._session.subscriptions.get(self.id) is not self:
            return
        view = View(self._session.outbox, self._encoder(self.wanted, layer.name), condition, self.wanted.message.max_rate)
        self._views[layer.name] = (layer, view)
        first = replica.snapshot(condition)
        replica.join(view)
        view.bulk(first)

    def _drop(self, name: str, view: View) -> None:
        replica = view.follows
        _leave(view)
        del self._views[name]
        if self.every_layer and isinstance(replica, Replica):
            view.bulk(replica.emptied(view.filter))
        else:
            self._session.forget(self.id)
            self._session.refuse(StreamError("forbidden", f"layer {name!r} may no longer be read; the subscription has ended"), self.id)

    def _encoder(self, wanted: Wanted, layer: str) -> FeatureEncoder:
        session = self._session
        batch = wanted.batch and not session.encoding.positional
        return FeatureEncoder.of(FeatureVariant(session.encoding, session.framing, self.id, layer, wanted.presentation, batch))

    def _ack(self, message: str, told: dict[str, list[Delivery]], recovered: bool | None) -> Ack:
        cursors = {name: view.cursor for name, (_, view) in self._views.items()}
        only = self.wanted.message.layer
        return Ack(
            request_id=self.id,
            success=True,
            message=message,
            cursor=cursors if only is None else cursors[only],
            snapshot_count=sum(map(len, told.values())),
            recovered=recovered,
        )

    def _tell(self, told: dict[str, list[Delivery]]) -> None:
        for name, deliveries in told.items():
            self._views[name][1].bulk(deliveries)


class EventSubscription:
    """Events of some types."""

    kind = "events"

    def __init__(self, session: GeoSession, message: SubscribeEvents) -> None:
        self.id = message.subscription_id
        self.since = time.time()
        self._session = session
        self._message = message = structs.replace(message, event_types=list(dict.fromkeys(message.event_types)))
        encoder = EventEncoder.of(EventVariant(session.encoding, session.framing, self.id))
        self._queue = LogQueue(encoder, session.outbox.limits.events)
        self._view = View(session.outbox, encoder, EventCondition(message), queue=self._queue)

    @property
    def waiting(self) -> int:
        """Events that wait for the client."""
        return len(self._queue)

    @property
    def dropped(self) -> int:
        """Events that were dropped because the client was slow."""
        return self._queue.dropped

    async def start(self) -> None:
        """Join; what was missed since the client's cursor is told first."""
        tail = await self._session.hub.tail(event_feed())
        cursor = None if self._message.cursor is None else Cursor.parse(self._message.cursor)
        if cursor is not None:
            await self._session.hub.reach(tail, cursor)
        missed, gap = ([], 0) if cursor is None else tail.missed(self._view.filter, cursor)
        known = cursor is not None and cursor.epoch == tail.epoch and cursor.seq <= tail.seq
        tail.join(self._view)
        self._session.send(
            Ack(
                request_id=self.id,
                success=True,
                message="Subscribed to events",
                cursor=self._view.cursor,
                snapshot_count=len(missed),
                recovered=None if cursor is None else known and not gap,
            )
        )
        if missed:
            self._view.bulk(missed, gap)
        else:
            self._view.lost(gap)

    async def update(self, message: UpdateSubscription) -> None:
        """Not offered."""
        raise StreamError("bad_request", "only subscriptions to features and tiles can be updated")

    async def review(self) -> None:
        """Events do not depend on layers."""

    def stop(self) -> None:
        """Leave."""
        _leave(self._view)

    def info(self) -> SubscriptionInfo:
        """For `list_subscriptions`."""
        message = self._message
        return SubscriptionInfo(
            subscription_id=self.id,
            kind=self.kind,
            filters=message.filters,
            filter=message.filter,
            filter_lang=message.filter_lang,
            event_types=message.event_types,
            cursor=self._view.cursor,
        )

    def describe(self) -> dict[str, Any]:
        """For the admin."""
        conditions = {"types": ", ".join(kind.value for kind in self._message.event_types)}
        given = {"filters": self._message.filters, "filter": self._message.filter}
        return {"feed": "events", "filter": conditions | {key: value for key, value in given.items() if value is not None}}


def _leave(view: View) -> None:
    if view.follows is not None:
        view.follows.leave(view)
    view.outbox.forget(view)
