"""Subscriptions to notices: which tiles of one or several tilesets have changed, for clients that fetch tiles over HTTP."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from msgspec import structs

from streaming.core.bbox import check_bbox
from streaming.core.errors import StreamError
from streaming.tiles.grid import MAX_ZOOM, Tile
from streaming.tiles.tilesets import tilesets

from .encoding import is_text
from .message_encoder import encode
from .messages import Ack, SubscribeTiles, SubscriptionInfo, TilesChanged, UpdateSubscription
from .subscription import Subscriber, Subscription
from .tile_request import kept_message, tileset_names
from .tile_subscription import describe_tiles, tileset_info, view_changes

if TYPE_CHECKING:
    from streaming.tiles.live_tileset import LiveTileset
    from streaming.tiles.live_tilesets import LiveTilesets
    from streaming.tiles.tile_notices import TileNotices, View
    from streaming.tiles.tile_renderer import OpenTileset


@dataclass(slots=True)
class _Part:
    """One tileset of a subscription, and what the client is still to be told of it."""

    live: LiveTileset
    notices: TileNotices


class TileNoticeSubscription(Subscription):
    """Notices of changed tiles. A slow client is told of all changes together when its turn comes."""

    kind = "tiles"

    def __init__(self, session: Subscriber, message: SubscribeTiles) -> None:
        super().__init__(session, message.subscription_id)
        self._names = tileset_names(message)
        self.message = kept_message(message, self._names)
        self._parts: dict[str, _Part] = {}

    @property
    def _live_tilesets(self) -> LiveTilesets:
        from streaming.tiles.live_tilesets import LiveTilesets  # late, because of the packages that it imports

        return self._session.runtime.service(LiveTilesets)

    @property
    def waiting(self) -> int:
        return sum(len(part.notices) for part in self._parts.values())

    async def start(self) -> None:
        readable = [await tilesets.get_readable(name, self._session.user) for name in self._names]
        acquired: list[LiveTileset] = []
        try:
            for settings in readable:
                acquired.append(await self._live_tilesets.acquire(settings))
            opened = {live.settings.name: await live.opened() for live in acquired}
            views = _views(self.message, opened)
        except BaseException:
            for live in acquired:
                self._live_tilesets.release(live)
            raise
        # Nothing awaits from here on.
        for live in acquired:
            self._join(live, views[live.settings.name])
        versions = {name: part.live.version_name for name, part in self._parts.items()}
        infos = {name: structs.replace(tileset_info(tileset), version=versions[name]) for name, tileset in opened.items()}
        self._session.send(Ack(request_id=self.id, success=True, message="Subscribed to notices of tiles", tilesets=infos))

    async def update(self, message: UpdateSubscription) -> None:
        changes = view_changes(message)
        opened = await self._opened()
        self._check_active("tileset")
        updated = structs.replace(self.message, **changes)
        views = _views(updated, opened)
        self.message = updated
        for name, part in self._parts.items():
            part.notices.move(views[name])
        self._session.send(Ack(request_id=self.id, success=True, message="Updated"))

    async def review(self) -> None:
        """End if a tileset may no longer be read; look at those with other settings anew."""
        try:
            for name in list(self._parts):
                settings = await tilesets.get_readable(name, self._session.user)
                live = await self._live_tilesets.acquire(settings)
                part = self._parts.get(name)
                if part is None or live is part.live:
                    self._live_tilesets.release(live)
                    continue
                view = part.notices.view
                self._leave(part)
                self._join(live, view).add(None, None)
            opened = await self._opened()
            views = _views(self.message, opened)
        except StreamError as error:
            if error.kind.retry:
                raise
            if self._parts:
                self.stop()
                self._end(error)
            return
        for name, part in self._parts.items():
            if part.notices.view != views[name]:
                part.notices.move(views[name])

    def stop(self) -> None:
        parts, self._parts = self._parts, {}
        for part in parts.values():
            self._leave(part)

    def info(self) -> SubscriptionInfo:
        message = self.message
        return SubscriptionInfo(
            subscription_id=self.id,
            kind=self.kind,
            tileset=message.tileset,
            bbox=message.bbox,
            zoom_range=message.zoom_range,
            notices=True,
        )

    def describe(self) -> dict[str, Any]:
        return describe_tiles(self._names, self.message)

    def _join(self, live: LiveTileset, view: View) -> TileNotices:
        from streaming.tiles.tile_notices import TileNotices

        name = live.settings.name
        notices = TileNotices(self._session.outbox, partial(self._frames, name), view, self.id)
        self._parts[name] = _Part(live, notices)
        live.notify(notices)
        return notices

    def _leave(self, part: _Part) -> None:
        part.live.stop_notices(part.notices)
        self._live_tilesets.release(part.live)

    async def _opened(self) -> dict[str, OpenTileset]:
        return {name: await part.live.opened() for name, part in list(self._parts.items())}

    def _frames(self, tileset: str, tiles: Collection[Tile] | None, version: str | None) -> list[Any]:
        listed = None if tiles is None else [(tile.x, tile.y, tile.z) for tile in sorted(tiles)]
        encoding = self._session.encoding
        data = encode(TilesChanged(self.id, tileset, listed, version), encoding)
        return self._session.framing.pack([data], is_text(encoding))


def _views(message: SubscribeTiles, opened: dict[str, OpenTileset]) -> dict[str, View]:
    """The tiles of which changes are reported, of each tileset. They are not listed, so they may be any number."""
    from streaming.tiles.tile_notices import tiles_of_view

    requested, box = message.zoom_range, check_bbox(message.bbox)
    if requested.start > MAX_ZOOM:
        raise StreamError("bad_request", f"there are zooms from 0 to {MAX_ZOOM}, not {requested.start}")
    return {
        name: tiles_of_view(box, range(max(requested.start, has.min_zoom), min(requested.end, has.max_zoom + 1)))
        for name, has in ((name, tileset.metadata) for name, tileset in opened.items())
    }
