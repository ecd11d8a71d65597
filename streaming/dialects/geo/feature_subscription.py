"""Subscriptions to features: one view of each layer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

from streaming.core.deliveries import Reserved
from streaming.core.errors import StreamError
from streaming.core.feed import Cursor
from streaming.core.filters import Filter
from streaming.core.replica import Replica
from streaming.core.selection import Between, Difference, Selection
from streaming.core.view import View
from streaming.engine.catalogue import readable
from streaming.features.costly_filters import check_room
from streaming.features.layers import LayerSettings, catalogue, layer_feed

from .feature_encoder import FeatureEncoder, FeatureVariant
from .feature_request import FeatureRequest
from .messages import Ack, SubscriptionInfo, UpdateSubscription
from .subscription import Subscriber, Subscription

if TYPE_CHECKING:
    from streaming.features.aggregates.matched import MatchedFeatures


class FeatureSubscription(Subscription):
    """Features of one layer, or of every layer that the client may read."""

    kind = "features"

    def __init__(self, session: Subscriber, request: FeatureRequest) -> None:
        super().__init__(session, request.message.subscription_id)
        self._request = request
        self._views: dict[str, tuple[LayerSettings, View]] = {}
        self._unseen: set[str] = set()
        """Layers of which the client was not sent what there is: it has nothing that a delta could start from."""
        self._changing = asyncio.Lock()
        """Held while what the client is to be sent after a change is found out."""
        self._followed: set[str] = set()
        """Layers of whose dictionaries the client is told."""

    @property
    def waiting(self) -> int:
        return sum(len(view.queue) for _, view in self._views.values())

    @property
    def views(self) -> dict[str, View]:
        """Its views by layer."""
        return {name: view for name, (_, view) in self._views.items()}

    @property
    def _every_layer(self) -> bool:
        return self._request.message.layer is None

    async def start(self) -> None:
        request, hub = self._request, self._session.runtime.hub
        layers = await self._layers()
        filters = {layer.name: request.filter_for(layer.time_property) for layer in layers}
        async with AsyncExitStack() as opened:
            replicas = {layer.name: await opened.enter_async_context(self._replica(layer, request)) for layer in layers}
            reached = await self._load_missed(replicas)
            check_room(hub, self._session.outbox, filters.values())
            self._check_aggregate(request)
            # Nothing awaits from here on, until all views have joined: what is selected is what there is now.
            recovered = reached and self._can_recover(replicas)
            place = self._session.outbox.reserve(self.id, self)
            selections: dict[str, Selection] = {}
            for layer in layers:
                self._initial(selections, replicas[layer.name], filters[layer.name], layer.name, recovered)
                view = self._make_view(layer, filters[layer.name])
                replicas[layer.name].join(view)
            matched = self._matched()
        answer = partial(self._ack, "Subscribed to features", self._cursors(), None if request.message.cursor is None else recovered)
        async with self._ending_on_failure():
            await self._send(place, answer, selections, matched)

    async def update(self, message: UpdateSubscription) -> None:
        hub = self._session.runtime.hub
        request = await self._request.updated(message)
        async with self._changing:
            self._check_active("layer")
            async with AsyncExitStack() as opened:
                replicas = await self._replicas(opened, request)
                self._check_active("layer")
                # Nothing awaits from here on, until all views have joined again.
                filters = {name: request.filter_for(layer.time_property) for name, (layer, _) in self._views.items()}
                check_room(hub, self._session.outbox, filters.values(), [view.filter for _, view in self._views.values()])
                if self._request.aggregate is None:
                    self._check_aggregate(request)
                redraw = request.presentation != self._request.presentation
                for _, view in self._views.values():
                    view.seal()
                place = self._session.outbox.reserve(self.id, self)
                selections: dict[str, Selection] = {}
                for name, (_, view) in self._views.items():
                    before = view.follows
                    assert isinstance(before, Replica)
                    after = replicas.get(name, before)
                    selections[name] = _difference(before, after, view, filters[name], redraw)
                    self._move(view, after, request, name, filters[name])
                self._request = request
                matched = self._matched()
            async with self._ending_on_failure():
                await self._send(place, partial(self._ack, "Updated", self._cursors(), None), selections, matched)

    async def review(self) -> None:
        layers = await catalogue.all()
        async with self._changing:
            for name, (_, view) in list(self._views.items()):
                layer = layers.get(name)
                if layer is not None and not await readable(layer, self._session.user):
                    await self._drop(name, view)
            if self._every_layer:
                for layer in layers.values():
                    if layer.name not in self._views and await readable(layer, self._session.user):
                        await self._join_new(layer)

    def stop(self) -> None:
        for _, view in self._views.values():
            view.leave()
        self._views.clear()
        for name in list(self._followed):
            self._leave_dictionaries(name)

    def use_dictionaries(self) -> None:
        """Have messages compressed with the newest dictionaries that the client holds, and the client be told of others."""
        for name, (_, view) in self._views.items():
            self._follow_dictionaries(name)
            encoder = self._encoder(self._request, name)
            if encoder is not view.encoder:
                view.encode_with(encoder)

    def info(self) -> SubscriptionInfo:
        outbox = self._session.outbox
        sent = {name: view for name, (_, view) in self._views.items() if view.follows is not None and not outbox.waits(view)}
        cursor = {name: view.cursor for name, view in sent.items()}
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

    @asynccontextmanager
    async def _replica(self, layer: LayerSettings, request: FeatureRequest) -> AsyncIterator[Replica]:
        """What a layer's view joins: the layer's features, or its cells."""
        runtime = self._session.runtime
        replica = await runtime.hub.replica(layer_feed(layer))
        if request.aggregate is None:
            yield replica
            return
        from streaming.features.aggregates.service import Aggregates  # late, because most clients have none

        self._check_aggregate(request)
        counted = request.counted_for(layer.time_property)
        held = [self._request.counted_for(layer.time_property)] if self._views and self._request.aggregate is not None else []
        check_room(runtime.hub, self._session.outbox, [counted], held)
        async with runtime.service(Aggregates).opened(replica, request.aggregate, counted, self._session.address) as aggregate:
            yield aggregate

    async def _replicas(self, opened: AsyncExitStack, request: FeatureRequest) -> dict[str, Replica]:
        """What the views are to join instead of what they follow, if cells are or were asked for."""
        if request.aggregate is None and self._request.aggregate is None:
            return {}
        layers = [layer for layer, _ in self._views.values()]
        return {layer.name: await opened.enter_async_context(self._replica(layer, request)) for layer in layers}

    def _check_aggregate(self, request: FeatureRequest) -> None:
        """`StreamError` if the connection may not have one more."""
        if request.aggregate is not None:
            from streaming.features.aggregates.service import check_aggregates

            check_aggregates(self._session.outbox, 0 if self._views and self._request.aggregate is not None else 1)

    def _matched(self) -> MatchedFeatures | None:
        """How many features the cells hold that the client looks at."""
        if self._request.aggregate is None:
            return None
        from streaming.features.aggregates.matched import MatchedFeatures

        (view,) = self.views.values()
        return MatchedFeatures.of(view)

    async def _load_missed(self, replicas: dict[str, Replica]) -> bool:
        """Load what was changed since the client's cursors; whether that is possible for all of them."""
        cursors = self._request.message.cursor
        if cursors is None or (isinstance(cursors, dict) and not cursors.keys() <= replicas.keys()):
            return False
        for name, replica in replicas.items():
            cursor = self._request.cursor_of(name)
            if cursor is not None and not await self._reach(replica, cursor):
                return False
        return True

    async def _reach(self, replica: Replica, cursor: Cursor) -> bool:
        hub = self._session.runtime.hub
        if self._request.aggregate is None:
            return await hub.reach(replica, cursor)
        from streaming.features.aggregates.aggregate import Aggregate

        return isinstance(replica, Aggregate) and await replica.reach(hub, cursor)

    def _can_recover(self, replicas: dict[str, Replica]) -> bool:
        """Whether everything since the client's cursors is still loaded."""
        cursors = {name: self._request.cursor_of(name) for name in replicas}
        return all(cursor is None or replicas[name].reaches(cursor) for name, cursor in cursors.items())

    def _initial(self, selections: dict[str, Selection], replica: Replica, condition: Filter, name: str, recovered: bool) -> None:
        """What the client is sent first of a layer: what it missed since its cursor, the snapshot, or nothing."""
        cursor = self._request.cursor_of(name)
        missed = replica.select_missed(condition, cursor) if recovered and cursor is not None else None
        if missed is not None:
            selections[name] = missed
        elif cursor is not None or self._wants_snapshot:
            selections[name] = replica.select(condition)
        else:
            self._unseen.add(name)

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
        # Nothing awaits from here on, until it has joined.
        view = self._make_view(layer, condition)
        snapshot = replica.select(condition)
        replica.join(view)
        await self._select_and_send(view, snapshot)

    def _make_view(self, layer: LayerSettings, condition: Filter) -> View:
        request = self._request
        message = request.message
        self._follow_dictionaries(layer.name)
        view = View(
            self._session.outbox,
            self._encoder(request, layer.name),
            condition,
            message.max_rate,
            lane=self.id,
            min_distance=message.min_distance,
        )
        self._views[layer.name] = (layer, view)
        return view

    def _encoder(self, request: FeatureRequest, layer: str) -> FeatureEncoder:
        session = self._session
        extended = not session.encoding.positional
        batch, delta = request.batch and extended, request.delta and extended and layer not in self._unseen
        dictionary = session.dictionaries.of(layer) if session.dictionaries is not None and layer in self._followed else None
        return FeatureEncoder.of(
            FeatureVariant(session.encoding, session.framing, self.id, layer, request.presentation, batch, delta, dictionary)
        )

    def _follow_dictionaries(self, layer: str) -> None:
        """Those of features: cells are no pieces of what a dictionary is trained on."""
        use = self._session.dictionaries
        if use is not None and layer not in self._followed and self._request.aggregate is None:
            self._followed.add(layer)
            use.follow(layer)

    def _leave_dictionaries(self, layer: str) -> None:
        if self._session.dictionaries is not None and layer in self._followed:
            self._followed.remove(layer)
            self._session.dictionaries.leave(layer)

    # -- changing and leaving ---------------------------------------------

    def _move(self, view: View, replica: Replica, request: FeatureRequest, name: str, condition: Filter) -> None:
        assert view.follows is not None
        view.follows.leave(view)
        view.reshape(self._encoder(request, name), condition, request.message.max_rate, request.message.min_distance)
        replica.join(view)

    async def _drop(self, name: str, view: View) -> None:
        """Leave a layer that may no longer be read. That ends the subscription if it was to this layer alone."""
        replica = view.follows
        held = replica.unjudged(view) if isinstance(replica, Replica) else None
        view.leave()
        self._leave_dictionaries(name)
        del self._views[name]
        if self._every_layer and isinstance(replica, Replica):
            await self._select_and_send(view, replica.select(None, view.filter, held=held))
        else:
            self._end(StreamError("forbidden", f"layer {name!r} may no longer be read"))

    # -- sending -------------------------------------------------------------

    async def _send(
        self, place: Reserved, answer: Callable[[int, int | None], Ack], selections: dict[str, Selection], matched: MatchedFeatures | None
    ) -> None:
        """Find out what the client is to be sent, then acknowledge, and queue it behind the acknowledgement."""
        for selection in selections.values():
            await self._select(selection)
        if matched is not None:
            await self._session.runtime.hub.turns.finish((self._session.outbox, "selections"), matched.step, "selecting")
        ack = self._session.frames(answer(sum(map(len, selections.values())), None if matched is None else matched.count))
        views = [(self._views[name][1], selection) for name, selection in selections.items()]
        self._session.outbox.fill(place, [ack, *(view.bulk_of(selection) for view, selection in views)])

    async def _select_and_send(self, view: View, selection: Selection) -> None:
        place = view.reserve()
        await self._select(selection)
        self._session.outbox.fill(place, [view.bulk_of(selection)])

    @asynccontextmanager
    async def _ending_on_failure(self) -> AsyncIterator[None]:
        """What was joined is left again if it fails."""
        try:
            yield
        except BaseException:
            self.stop()
            self._session.outbox.forget(self)
            self._session.forget(self.id)
            raise

    def _cursors(self) -> dict[str, str]:
        return {name: view.cursor for name, (_, view) in self._views.items()}

    def _ack(self, message: str, cursors: dict[str, str], recovered: bool | None, count: int, matched: int | None) -> Ack:
        layer = self._request.message.layer
        return Ack(
            request_id=self.id,
            success=True,
            message=message,
            cursor=cursors if layer is None else cursors[layer],
            snapshot_count=count,
            recovered=recovered,
            aggregate=self._request.cells,
            matched=matched,
        )


def _difference(before: Replica, after: Replica, view: View, condition: Filter, redraw: bool) -> Selection:
    """What a view must be sent that is to have another condition, or to follow something else."""
    held = before.unjudged(view)
    if after is before:
        return after.select(condition, view.filter, redraw, held)
    return Difference(after.epoch, after.seq, Between(before.moment(held), after.moment(), held), view.filter, condition, redraw=True)
