"""A subscription to tiles: new versions to iterate over, and the picture they make."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import Any, Unpack

from ..core.errors import StreamError
from ..dialects.geo.messages import Ack, Message, SubscribeTiles, TileData, TilesetInfo, UpdateSubscription
from .conditions import TileConditions, build, tiles_to_wire, zooms_of
from .errors import RequestRefused
from .picture import Picture, View
from .subscription import Owner, Subscription
from .tiles import Coords, Tile, TileKey, read
from .waiting import WaitingTiles

logger = logging.getLogger(__name__)


class TileSubscription(Subscription[Tile]):
    """The tiles of a box and some zooms, each whenever it has changed.

    A slow reader gets the latest version of each tile once. `tiles` is always current: it is ahead of a reader that is behind.
    A delta that does not fit makes the client subscribe anew, without deltas until the next connection; what it holds is not sent again.
    """

    _waiting: WaitingTiles

    def __init__(self, owner: Owner, id: str, wire: Mapping[str, Any]) -> None:
        super().__init__(owner, id, wire, WaitingTiles())
        self.tileset: str | list[str] | None = wire["tileset"]
        self.info: Mapping[str, TilesetInfo] = {}
        """The tilesets by name: format, zooms, bounds, attribution."""
        self.tile_count: int | None = None
        """How many tiles are in view, empty ones too."""
        self.exchange = asyncio.Lock()
        """Held by a request that must not come between others."""
        self._view = _view(wire)
        self._picture = Picture(several=isinstance(self.tileset, list))
        self._complete = asyncio.Event()
        self._started = self._renewing = self._distrusts_deltas = False
        self._ended_by: BaseException | None = None

    @property
    def tiles(self) -> Mapping[TileKey, Tile]:
        """What is in view now and not empty, by (x, y, zoom), or by (tileset, x, y, zoom) if `tileset` is a list."""
        return self._picture.tiles

    async def ready(self) -> None:
        """Wait until all that is in view has arrived; after an update or a reconnect, again. Raises what ends the subscription."""
        await self._complete.wait()
        if self.closed:
            raise self._ended_by or RequestRefused("unknown_subscription", "the subscription has ended")

    async def update(self, **conditions: Unpack[TileConditions]) -> None:
        """Move the view: what is absent stays. Only tiles that came into view are sent; those that left it leave `tiles`.

        Raises `RequestRefused`, after which the old view still holds.
        """
        async with self.exchange:
            await self._owner.update(self, tiles_to_wire(conditions))

    def _request(self) -> Message:
        delta = None if self._distrusts_deltas else self._wire["delta"]
        members = {**self._wire, "subscription_id": self.id, "delta": delta, "progress": True, "have": self._picture.held() or None}
        return build(SubscribeTiles, members)

    def _accepted(self, ack: Ack) -> None:
        self.recovered = True if self._started else None
        self.info, self.tile_count = ack.tilesets or {}, ack.tile_count
        self._picture.keep(self.info)  # the others could not be named: they come again
        self._started, self._renewing = True, False
        self._complete.clear()

    def _update_request(self, wire: Mapping[str, Any]) -> Message:
        _view({**self._wire, **wire})
        return build(UpdateSubscription, {**wire, "subscription_id": self.id})

    def _updated(self, ack: Any, wire: Mapping[str, Any]) -> None:
        if not (isinstance(ack, Ack) and ack.success):
            return
        self._wire.update(wire)
        self.tile_count = ack.tile_count
        self._view = _view(self._wire)
        self._picture.crop(self._view)
        self._waiting.crop(self._view)
        self._complete.clear()

    def _receive(self, message: TileData) -> None:
        coords = Coords(*message.tile)
        if coords not in self._view:
            return
        key = self._picture.key(message.tileset if isinstance(message.tileset, str) else None, coords)
        try:
            tile = read(message, self.tiles.get(key))
        except StreamError as error:
            self._misfit(key, error)
        else:
            self._picture.put(tile)
            self._waiting.put(tile)

    def _misfit(self, key: TileKey, error: StreamError) -> None:
        logger.warning("tile %s of subscription %s: %s; it is subscribed to anew", tuple(key), self.id, error.message)
        self._picture.doubt(key)
        if not self._renewing:
            self._renewing = self._distrusts_deltas = True
            self._owner._renew(self)

    def _all_sent(self) -> None:
        """Everything in view has been sent as it is."""
        if not self._renewing:
            self._complete.set()

    def _interrupted(self) -> None:
        super()._interrupted()
        self._complete.clear()
        self._renewing = self._distrusts_deltas = False

    def _end(self, error: BaseException | None = None, drop: bool = False) -> None:
        if not self.closed:
            self._ended_by = error
        super()._end(error, drop)
        self._complete.set()


def _view(wire: Mapping[str, Any]) -> View:
    return View(wire["bbox"], zooms_of(wire["zoom_range"]))
