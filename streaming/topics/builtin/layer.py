"""The topics `layer:<name>` and `layer:<name>:<label>`: a feature layer, filtered as each client wants it.

The reply to a join holds what matches now, events what changes. There is no `await` between taking the snapshot
and joining the replica, and none until the reply is sent: a client misses nothing and sees nothing twice.
"""

from __future__ import annotations

import asyncio
import logging
from functools import partial
from typing import Any

from django.db import DatabaseError
from msgspec import Raw

from streaming.core.audience import Condition
from streaming.core.deliveries import Delivery
from streaming.core.errors import StreamError
from streaming.core.feed import Cursor
from streaming.core.filters import Filter
from streaming.core.prefilter import precompute
from streaming.core.replica import Replica
from streaming.core.view import View
from streaming.engine.catalogue import readable
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
    _replica: Replica
    _view: View | None = None
    _following: list[Delivery]
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
        self._replica = replica = await hub.replica(layer_feed(layer))
        reached = cursor is not None and await hub.reach(replica, cursor)
        seen = await precompute(self._filter, replica.versions(cursor))
        return self._start(asked, seen, cursor, replica.missed(seen, cursor) if cursor is not None and reached else None)

    async def joined(self) -> None:
        """What the reply has no room for."""
        if self._view is not None:
            self._view.bulk(self._following)
            self._following = []
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

    # -- joining -----------------------------------------------------------

    async def _readable_layer(self) -> LayerSettings:
        name = self.subtopic.partition(":")[0]
        return await catalogue.get_readable(name, self.user)

    def _start(self, asked: LayerJoin, seen: Condition, cursor: Cursor | None, missed: list[Delivery] | None) -> dict[str, Any]:
        """Follow the layer; the reply. Nothing awaits from when `missed` was found until the client has its reply."""
        if missed is None and (cursor is not None or asked.snapshot is not False):
            features, self._following = self._fitting(self._replica.snapshot(seen))
        else:
            features, self._following = [], missed or []
        self._view = View(self.member.outbox, self._encoder(self._wanted), self._filter, asked.max_rate, min_distance=asked.min_distance)
        self._replica.join(self._view)
        return {
            "features": Raw(b"[%b]" % b",".join(features)),
            "count": len(features) + len(self._following),
            "complete": not self._following,
            "recovered": None if cursor is None else missed is not None,
            **self._promise(self._view, self._following),
        }

    def _fitting(self, snapshot: list[Delivery]) -> tuple[list[bytes], list[Delivery]]:
        """The features that fit into the reply, and the rest."""
        features: list[bytes] = []
        room = REPLY_BYTES
        for delivery in snapshot:
            assert delivery.item is not None
            feature = self._wanted.presentation.geojson(delivery.item)
            room -= len(feature) + 1
            if room < 0:
                break
            features.append(feature)
        return features, snapshot[len(features) :]

    def _encoder(self, wanted: CheckedRequest) -> LayerEncoder:
        return LayerEncoder.of(LayerVariant(self.topic, self.member.encoder, wanted.presentation))

    @staticmethod
    def _promise(view: View, following: list[Delivery]) -> dict[str, str]:
        """The cursor, where it holds already: else the last of what follows has it."""
        return {} if following else {"cursor": view.cursor}

    # -- later -------------------------------------------------------------

    async def _update(self, changes: dict[str, Any]) -> Reply:
        wanted = await check_request(updated_request(self._wanted.request, changes))
        condition = wanted.filter_for(self._layer.time_property)
        view, replica = self._view, self._replica
        items = replica.versions()
        before, after = await precompute(self._filter, items), await precompute(condition, items)
        if view is None or view.follows is None:
            raise StreamError("unknown_subscription", "the channel has ended: its layer may no longer be read")
        # Nothing awaits from here on, until the client has its answer.
        deliveries = replica.difference(before, after, wanted.presentation != self._wanted.presentation)
        replica.leave(view)
        view.reshape(self._encoder(wanted), condition, wanted.request.max_rate, wanted.request.min_distance)
        replica.join(view)
        self._wanted, self._filter = wanted, condition
        self.connection.session.revision += 1
        return Reply("ok", {"count": len(deliveries), **self._promise(view, deliveries)}, then=partial(view.bulk, deliveries))

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
