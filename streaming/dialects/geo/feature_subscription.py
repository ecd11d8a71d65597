"""Subscriptions to features: one view of each layer."""

from __future__ import annotations

from typing import Any

from streaming.core.deliveries import Delivery
from streaming.core.errors import StreamError
from streaming.core.filters import Filter
from streaming.core.follower import Condition
from streaming.core.prefilter import precompute
from streaming.core.replica import Replica
from streaming.core.view import View
from streaming.engine.catalogue import readable
from streaming.features.layers import LayerSettings, catalogue, layer_feed

from .feature_encoder import FeatureEncoder, FeatureVariant
from .feature_request import FeatureRequest
from .messages import Ack, SubscriptionInfo, UpdateSubscription
from .subscription import Subscriber, Subscription


class FeatureSubscription(Subscription):
    """Features of one layer, or of every layer that the client may read."""

    kind = "features"

    def __init__(self, session: Subscriber, request: FeatureRequest) -> None:
        super().__init__(session, request.message.subscription_id)
        self._request = request
        self._views: dict[str, tuple[LayerSettings, View]] = {}

    @property
    def waiting(self) -> int:
        return sum(len(view.queue) for _, view in self._views.values())

    @property
    def _every_layer(self) -> bool:
        return self._request.message.layer is None

    async def start(self) -> None:
        request, hub = self._request, self._session.runtime.hub
        layers = await self._layers()
        filters = {layer.name: request.filter_for(layer.time_property) for layer in layers}
        replicas = {layer.name: await hub.replica(layer_feed(layer)) for layer in layers}
        reached = await self._load_missed(replicas)
        conditions = {
            name: await precompute(filters[name], replica.versions(request.cursor_of(name))) for name, replica in replicas.items()
        }
        # Nothing awaits from here on, until all views have joined.
        recovered = reached and self._can_recover(replicas)
        deliveries: dict[str, list[Delivery]] = {}
        for layer in layers:
            view = self._make_view(layer, filters[layer.name])
            deliveries[layer.name] = self._initial(replicas[layer.name], conditions[layer.name], layer.name, recovered)
            replicas[layer.name].join(view)
        self._session.send(self._ack("Subscribed to features", deliveries, None if request.message.cursor is None else recovered))
        self._queue(deliveries)

    async def update(self, message: UpdateSubscription) -> None:
        request = await self._request.updated(message)
        conditions = {name: await self._conditions(layer, view, request) for name, (layer, view) in list(self._views.items())}
        self._check_active("layer")
        # Nothing awaits from here on. Layers may have come and gone meanwhile.
        filters = {name: request.filter_for(layer.time_property) for name, (layer, _) in self._views.items()}
        redraw = request.presentation != self._request.presentation
        deliveries: dict[str, list[Delivery]] = {}
        for name, (_, view) in self._views.items():
            replica = view.follows
            assert isinstance(replica, Replica)
            deliveries[name] = replica.difference(*conditions.get(name, (view.filter, filters[name])), redraw)
            replica.leave(view)
            view.reshape(self._encoder(request, name), filters[name], request.message.max_rate)
            replica.join(view)
        self._request = request
        self._session.send(self._ack("Updated", deliveries, None))
        self._queue(deliveries)

    async def review(self) -> None:
        layers = await catalogue.all()
        for name, (_, view) in list(self._views.items()):
            layer = layers.get(name)
            if layer is not None and not await readable(layer, self._session.user):
                self._drop(name, view)
        if self._every_layer:
            for layer in layers.values():
                if layer.name not in self._views and await readable(layer, self._session.user):
                    await self._join_new(layer)

    def stop(self) -> None:
        for _, view in self._views.values():
            view.leave()
        self._views.clear()

    def info(self) -> SubscriptionInfo:
        cursor = {name: view.cursor for name, (_, view) in self._views.items() if view.follows is not None}
        layer = self._request.message.layer
        return SubscriptionInfo(
            subscription_id=self.id,
            kind=self.kind,
            layer=layer,
            cursor=cursor if layer is None else cursor.get(layer),
            **self._request.describe(),
        )

    def describe(self) -> dict[str, Any]:
        return {"feed": f"layer:{self._request.message.layer or '*'}", "filter": self._request.describe()}

    # -- joining ----------------------------------------------------------

    async def _layers(self) -> list[LayerSettings]:
        """The layers to join. `StreamError` if the client may not read the one it named."""
        name, user = self._request.message.layer, self._session.user
        if name is not None:
            return [await catalogue.get_readable(name, user)]
        return [layer for layer in (await catalogue.all()).values() if await readable(layer, user)]

    async def _load_missed(self, replicas: dict[str, Replica]) -> bool:
        """Load what was changed since the client's cursors; whether that is possible for all of them."""
        cursors = self._request.message.cursor
        if cursors is None or (isinstance(cursors, dict) and not cursors.keys() <= replicas.keys()):
            return False
        for name, replica in replicas.items():
            cursor = self._request.cursor_of(name)
            if cursor is not None and not await self._session.runtime.hub.reach(replica, cursor):
                return False
        return True

    def _can_recover(self, replicas: dict[str, Replica]) -> bool:
        """Whether everything since the client's cursors is still loaded."""
        cursors = {name: self._request.cursor_of(name) for name in replicas}
        return all(cursor is None or replicas[name].reaches(cursor) for name, cursor in cursors.items())

    def _initial(self, replica: Replica, condition: Condition, name: str, recovered: bool) -> list[Delivery]:
        """What the client is sent first of a layer: what it missed since its cursor, the snapshot, or nothing."""
        cursor = self._request.cursor_of(name)
        if recovered and cursor is not None:
            missed = replica.missed(condition, cursor)
            if missed is not None:
                return missed
        return replica.snapshot(condition) if cursor is not None or self._wants_snapshot else []

    @property
    def _wants_snapshot(self) -> bool:
        """As the client asked; by default, positional peers get none, because they do not expect one."""
        asked = self._request.message.snapshot
        return not self._session.encoding.positional if asked is None else asked

    async def _join_new(self, layer: LayerSettings) -> None:
        """Join a layer that was created, or became readable, after the subscription."""
        condition = self._request.filter_for(layer.time_property)
        replica = await self._session.runtime.hub.replica(layer_feed(layer))
        if layer.name in self._views or self._session.subscriptions.get(self.id) is not self:
            return
        # Nothing awaits from here on.
        view = self._make_view(layer, condition)
        snapshot = replica.snapshot(condition)
        replica.join(view)
        view.bulk(snapshot)

    def _make_view(self, layer: LayerSettings, condition: Filter) -> View:
        request = self._request
        view = View(self._session.outbox, self._encoder(request, layer.name), condition, request.message.max_rate)
        self._views[layer.name] = (layer, view)
        return view

    def _encoder(self, request: FeatureRequest, layer: str) -> FeatureEncoder:
        session = self._session
        batch = request.batch and not session.encoding.positional
        return FeatureEncoder.of(FeatureVariant(session.encoding, session.framing, self.id, layer, request.presentation, batch))

    # -- changing and leaving ---------------------------------------------

    @staticmethod
    async def _conditions(layer: LayerSettings, view: View, request: FeatureRequest) -> tuple[Condition, Condition]:
        """The conditions before and after an update."""
        before, after = view.filter, request.filter_for(layer.time_property)
        items = view.follows.versions() if isinstance(view.follows, Replica) else []
        return await precompute(before, items) if isinstance(before, Filter) else before, await precompute(after, items)

    def _drop(self, name: str, view: View) -> None:
        """Leave a layer that may no longer be read. That ends the subscription if it was to this layer alone."""
        replica = view.follows
        view.leave()
        del self._views[name]
        if self._every_layer and isinstance(replica, Replica):
            view.bulk(replica.emptied(view.filter))
        else:
            self._end(StreamError("forbidden", f"layer {name!r} may no longer be read"))

    def _ack(self, message: str, deliveries: dict[str, list[Delivery]], recovered: bool | None) -> Ack:
        cursors = {name: view.cursor for name, (_, view) in self._views.items()}
        layer = self._request.message.layer
        return Ack(
            request_id=self.id,
            success=True,
            message=message,
            cursor=cursors if layer is None else cursors[layer],
            snapshot_count=sum(map(len, deliveries.values())),
            recovered=recovered,
        )

    def _queue(self, deliveries: dict[str, list[Delivery]]) -> None:
        for name, of_layer in deliveries.items():
            self._views[name][1].bulk(of_layer)
