"""The topics `layer:<name>` and `layer:<name>:<label>`: a feature layer, filtered as each client wants it.

The reply to a join holds what matches now, events what changes. There is no `await` between naming the moment of the snapshot, reserving
its place in the client's lane, and joining the replica: a client misses nothing and sees nothing twice. What belongs to the snapshot is
found in turns with others; it waits for the reply, and what changes meanwhile waits behind it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from functools import partial
from time import perf_counter
from typing import Any

from django.db import DatabaseError
from msgspec import Raw

from streaming.core.deliveries import Bulk, Reserved
from streaming.core.errors import StreamError
from streaming.core.feed import Cursor
from streaming.core.filters import Filter
from streaming.core.replica import Replica
from streaming.core.selection import Selection, find
from streaming.core.turns import STEP_SECONDS
from streaming.core.view import View
from streaming.engine.catalogue import readable
from streaming.features.costly_filters import check_room
from streaming.features.layers import LayerSettings, catalogue, layer_feed
from streaming.features.subscription_request import (
    CheckedRequest,
    SubscriptionRequest,
    check_request,
    parse_request,
    updated_request,
)

from ..channel import Channel, Reply
from ..layer_events import LayerEncoder, LayerVariant

logger = logging.getLogger(__name__)

REPLY_BYTES = 512 * 1024
"""GeoJSON text in the reply to a join; what does not fit follows as events."""

REVIEW_AGAIN_SECONDS = 5.0


class LayerJoin(SubscriptionRequest, frozen=True):
    """The payload of a join."""

    cursor: str | None = None
    snapshot: bool | None = None


class LayerChannel(Channel):
    """One client's picture of a layer. Who may have it is decided by the layer, not by a channel token."""

    notices_gaps = False
    _layer: LayerSettings
    _wanted: CheckedRequest
    _filter: Filter
    _view: View | None = None
    _place: Reserved
    """Of what the reply has no room for."""
    _selection: Selection | None = None
    _replied = 0
    """How much of the selection is in the reply."""
    _reviewing = False
    _review_due = False

    async def join(self, params: dict[str, Any]) -> dict[str, Any]:
        """What matches now or, with a cursor that still reaches, what was missed: then that follows as events."""
        asked = parse_request(params, LayerJoin)
        cursor = None if asked.cursor is None else Cursor.parse(asked.cursor)
        self._layer = layer = await self._readable_layer()
        self._wanted = await check_request(asked)
        self._filter = self._wanted.filter_for(layer.time_property)
        hub = self.topics.runtime.hub
        replica = await hub.replica(layer_feed(layer))
        reached = cursor is not None and await hub.reach(replica, cursor)
        check_room(hub, self.member.outbox, [self._filter])
        # Nothing awaits from here on, until the view has joined.
        missed = replica.select_missed(self._filter, cursor) if cursor is not None and reached else None
        if missed is None and (cursor is not None or asked.snapshot is not False):
            self._selection = replica.select(self._filter)
        self._view = self._new_view(asked)
        self._place = self._view.reserve()
        replica.join(self._view)
        here = self._view.cursor
        try:
            features = await self._snapshot() if missed is None else []
            self._selection = self._selection if missed is None else missed
            await self._find(self._selection)
        except BaseException:
            self._view.leave()
            raise
        return self._reply(features, here, None if cursor is None else missed is not None)

    async def joined(self) -> None:
        """What the reply has no room for."""
        if self._view is not None:
            selection, self._selection = self._selection, None
            rest = [] if selection is None else [self._view.bulk_of(selection, start=self._replied)]
            self._put(rest)
        self.refresh()  # the layer may have changed before this was among the members that are refreshed

    async def handle_in(self, event: str, payload: Any) -> Reply:
        """`update` moves the view."""
        if event != "update":
            raise StreamError("unsupported_type", f"{event[:64]!r} means nothing to a layer")
        if not isinstance(payload, dict):
            raise StreamError("bad_request", "`update` takes an object of conditions")
        return await self._update(payload)

    async def leave(self) -> None:
        """The client receives nothing any more, not even what waits."""
        view = self._view
        if view is not None:
            view.leave()

    def refresh(self) -> None:
        """Find out, in a task, whether the layer may still be read."""
        self._review_due = True
        if not self._reviewing and self._view is not None and self._view.follows is not None:
            self._reviewing = True
            self.topics.spawn(self._review())

    def describe(self) -> dict[str, Any]:
        """For the admin."""
        waiting = 0 if self._view is None else len(self._view.queue)
        feed = f"layer:{self._layer.name}"
        return {"kind": "features", "feed": feed, "filter": self._wanted.describe(), "waiting": waiting, "dropped": 0}

    def views(self) -> dict[str, View]:
        """Its only one."""
        return {} if self._view is None else {self._layer.name: self._view}

    # -- joining -----------------------------------------------------------

    async def _readable_layer(self) -> LayerSettings:
        name = self.subtopic.partition(":")[0]
        return await catalogue.get_readable(name, self.user)

    def _new_view(self, asked: LayerJoin) -> View:
        outbox, encoder = self.member.outbox, self._encoder(self._wanted)
        return View(outbox, encoder, self._filter, asked.max_rate, lane=self.member, min_distance=asked.min_distance)

    async def _snapshot(self) -> list[bytes]:
        """The features that fit into the reply."""
        await self._find(self._selection)
        features: list[bytes] = []
        if self._selection is not None:
            self._replied = len(self._selection)
            fitting = self._fitting(self._selection, features)
            await self.topics.runtime.hub.turns.finish((self.member.outbox, "selections"), lambda: next(fitting, False), "selecting")
        return features

    def _fitting(self, selection: Selection, features: list[bytes]) -> Iterator[bool]:
        """Adds the features for which there is room, in steps."""
        room, until = REPLY_BYTES, perf_counter() + STEP_SECONDS
        for number, delivery in enumerate(selection):
            assert delivery.item is not None  # a selection has no deletions
            feature = self._wanted.presentation.geojson(delivery.item)
            room -= len(feature) + 1
            if room < 0:
                self._replied = number
                return
            features.append(feature)
            if perf_counter() > until:
                yield True
                until = perf_counter() + STEP_SECONDS

    async def _find(self, selection: Selection | None) -> None:
        if selection is not None:
            await find(selection, self.topics.runtime.hub.turns, self.member.outbox)

    def _reply(self, features: list[bytes], here: str, recovered: bool | None) -> dict[str, Any]:
        following = 0 if self._selection is None else len(self._selection) - self._replied
        return {
            "features": Raw(b"[%b]" % b",".join(features)),
            "count": len(features) + following,
            "complete": not following,
            "recovered": recovered,
            **self._promise(here, following),
        }

    def _put(self, sources: list[Bulk]) -> None:
        """What follows an answer, into its place, as soon as the answer is written."""
        outbox = self.member.outbox
        outbox.after(partial(outbox.fill, self._place, sources))

    def _encoder(self, wanted: CheckedRequest) -> LayerEncoder:
        return LayerEncoder.of(LayerVariant(self.topic, self.member.encoder, wanted.presentation))

    @staticmethod
    def _promise(here: str, following: int) -> dict[str, str]:
        """The cursor, where it holds already: else the last of what follows has it."""
        return {} if following else {"cursor": here}

    # -- later -------------------------------------------------------------

    async def _update(self, changes: dict[str, Any]) -> Reply:
        wanted = await check_request(updated_request(self._wanted.request, changes))
        condition = wanted.filter_for(self._layer.time_property)
        view, outbox = self._view, self.member.outbox
        if view is None or not isinstance(replica := view.follows, Replica):
            raise _ended()
        check_room(self.topics.runtime.hub, outbox, [condition], [view.filter])
        # Nothing awaits from here on, until the view has joined again.
        self._place = view.reserve()
        redraw = wanted.presentation != self._wanted.presentation
        selection = replica.select(condition, view.filter, redraw, replica.unjudged(view))
        replica.leave(view)
        view.reshape(self._encoder(wanted), condition, wanted.request.max_rate, wanted.request.min_distance)
        replica.join(view)
        here = view.cursor
        self._wanted, self._filter = wanted, condition
        self.connection.session.revision += 1
        await self._find(selection)
        if view.follows is None:
            raise _ended()
        answer = {"count": len(selection), **self._promise(here, len(selection))}
        return Reply("ok", answer, then=partial(self._put, [view.bulk_of(selection)]))

    async def _review(self) -> None:
        try:
            while self._review_due:
                self._review_due = False
                layer = (await catalogue.all()).get(self._layer.name)
                if layer is not None and not await readable(layer, self.user):
                    await self._end()
        except (DatabaseError, StreamError) as error:
            logger.warning("whether %s may be read could not be found out and will be: %s", self.topic, error)
            asyncio.get_running_loop().call_later(REVIEW_AGAIN_SECONDS, self.refresh)
        finally:
            self._reviewing = False

    async def _end(self) -> None:
        """An error, not a close: clients try to come back, and may when the layer can be read again."""
        session: Any = self.connection.session
        reason = {"reason": "unauthorized", "detail": f"layer {self._layer.name!r} may no longer be read"}
        await session.end(self.member, "phx_error", reason)


def _ended() -> StreamError:
    return StreamError("unknown_subscription", "the channel has ended: its layer may no longer be read")
