"""Subscriptions to tiles: one viewport of each tileset."""

from __future__ import annotations

from collections.abc import Awaitable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from msgspec import UNSET, structs

from streaming.core.errors import StreamError
from streaming.engine.conf import conf
from streaming.engine.work import WorkQueue
from streaming.tiles.grid import MAX_ZOOM, Tile, viewport_tiles
from streaming.tiles.sources.base import MIME
from streaming.tiles.tilesets import TilesetSettings, tilesets

from .messages import Ack, SubscribeTiles, SubscriptionInfo, TilesetInfo, TilesReady, UpdateSubscription
from .subscription import Subscriber, Subscription
from .tile_encoder import TileEncoder, TileVariant
from .tile_request import data_encoding, held_versions, kept_message, tileset_names, with_tile_size

if TYPE_CHECKING:
    from streaming.tiles.live_tileset import LiveTileset
    from streaming.tiles.live_tilesets import LiveTilesets
    from streaming.tiles.tile_renderer import OpenTileset
    from streaming.tiles.tile_updates import TileUpdate
    from streaming.tiles.tile_viewport import TileViewport

MAX_FEED = 120
"""Characters of the list of tilesets in the admin's table."""

TilesInView = dict[str, list[Tile]]
"""The tiles in view of each tileset, in the order in which they are sent."""


@dataclass(slots=True)
class _Part:
    """One tileset of a subscription, and what the client sees of it."""

    live: LiveTileset
    viewport: TileViewport


class TileSubscription(Subscription):
    """Tiles of one or several tilesets.

    A slow client gets each tile as it is when its turn comes, so none is dropped.
    """

    kind = "tiles"

    def __init__(self, session: Subscriber, message: SubscribeTiles) -> None:
        super().__init__(session, message.subscription_id)
        self._data_encoding = data_encoding(message, session.encoding)
        self._names = tileset_names(message)
        self.message = kept_message(message, self._names)
        self._have = message.have or {}
        self._parts: dict[str, _Part] = {}
        self._moving = False
        self._error_sent = False

    @property
    def _live_tilesets(self) -> LiveTilesets:
        from streaming.tiles.live_tilesets import LiveTilesets  # late, because of the packages that it imports

        return self._session.runtime.service(LiveTilesets)

    @property
    def waiting(self) -> int:
        return sum(part.viewport.waiting for part in self._parts.values())

    async def start(self) -> None:
        readable = [await self._settings(name) for name in self._names]
        acquired: list[LiveTileset] = []
        try:
            for settings in readable:
                acquired.append(await self._live_tilesets.acquire(settings))
            opened = {live.settings.name: await live.opened() for live in acquired}
            tiles = self._tiles_in_view(self.message, opened)
        except BaseException:
            for live in acquired:
                self._live_tilesets.release(live)
            raise
        # Nothing awaits from here on.
        for live in acquired:
            self._parts[live.settings.name] = _Part(live, self._make_viewport(live))
        self._session.send(self._ack("Subscribed to tiles", tiles, opened))
        for name, part in self._parts.items():
            part.viewport.move(tiles[name], held_versions(self._have, name))
        self._have = {}  # it may be much larger than the view
        with self._one_move():
            for part in self._parts.values():
                part.live.attach(part.viewport)

    async def update(self, message: UpdateSubscription) -> None:
        changes = view_changes(message)
        opened = await self._opened()
        self._check_active("tileset")
        # Nothing awaits from here on.
        updated = structs.replace(self.message, **changes)
        tiles = self._tiles_in_view(updated, opened)
        self.message = updated
        self._session.send(self._ack("Updated", tiles, None))
        self._move(tiles)

    async def review(self) -> None:
        """End if a tileset may no longer be read; show those with other settings anew."""
        try:
            for name, part in list(self._parts.items()):
                settings = await self._settings(name)
                if settings != part.live.settings:
                    await self._replace(name, settings)
            opened = await self._opened()
            tiles = self._tiles_in_view(self.message, opened)  # of the message as it is now: it may have been updated meanwhile
        except StreamError as error:
            if error.kind.retry:
                raise
            if self._parts:
                self.stop()
                self._end(error)
            return
        if any(list(part.viewport.tiles) != tiles[name] for name, part in self._parts.items()):
            self._clear_removed(tiles)
            self._move(tiles)

    def stop(self) -> None:
        parts, self._parts = self._parts, {}
        for part in parts.values():
            part.live.detach(part.viewport)
            self._live_tilesets.release(part.live)

    def info(self) -> SubscriptionInfo:
        message = self.message
        return SubscriptionInfo(
            subscription_id=self.id,
            kind=self.kind,
            tileset=message.tileset,
            bbox=message.bbox,
            zoom_range=message.zoom_range,
            tile_size=message.tile_size,
            delta=message.delta,
        )

    def describe(self) -> dict[str, Any]:
        return describe_tiles(self._names, self.message)

    async def _settings(self, name: str) -> TilesetSettings:
        """The tileset in the requested size. `StreamError` if the client may not read it."""
        return with_tile_size(await tilesets.get_readable(name, self._session.user), self.message.tile_size)

    async def _replace(self, name: str, settings: TilesetSettings) -> None:
        """Use the tileset with its new settings."""
        live = await self._live_tilesets.acquire(settings)
        part = self._parts.get(name)
        if part is None or live is part.live:  # the live tileset has taken over its new settings itself
            self._live_tilesets.release(live)
            return
        viewport = self._make_viewport(live)
        viewport.move(list(part.viewport.tiles), part.viewport.held)
        part.live.detach(part.viewport)
        self._live_tilesets.release(part.live)
        self._parts[name] = _Part(live, viewport)
        live.attach(viewport)

    async def _opened(self) -> dict[str, OpenTileset]:
        return {name: await part.live.opened() for name, part in list(self._parts.items())}

    # -- the view ---------------------------------------------------------

    def _tiles_in_view(self, message: SubscribeTiles, opened: dict[str, OpenTileset]) -> TilesInView:
        """The tiles in view. `StreamError` if they are too many."""
        requested = message.zoom_range
        if requested.start > MAX_ZOOM:
            raise StreamError("bad_request", f"there are zooms from 0 to {MAX_ZOOM}, not {requested.start}")
        remaining = int(conf.MAX_TILES)
        tiles: TilesInView = {}
        for name, tileset in opened.items():
            zooms = range(max(requested.start, tileset.metadata.min_zoom), min(requested.end, tileset.metadata.max_zoom + 1))
            tiles[name] = viewport_tiles(message.bbox, zooms, remaining)
            remaining -= len(tiles[name])
        return tiles

    def _move(self, tiles: TilesInView) -> None:
        with self._one_move():
            for name, part in self._parts.items():
                before = list(part.viewport.tiles)
                part.viewport.move(tiles.get(name, ()))
                part.live.viewport_moved(part.viewport, before)

    def _clear_removed(self, tiles: TilesInView) -> None:
        """Send empty tiles for those that the tileset no longer has, because the client still shows them."""
        from streaming.tiles.tile_updates import whole_tile

        for name, part in self._parts.items():
            part.viewport.clear(set(part.viewport.tiles).difference(tiles[name]), whole_tile(None))

    @contextmanager
    def _one_move(self) -> Iterator[None]:
        """Several viewports move, and only once all have moved can everything have been sent."""
        self._moving = True
        try:
            yield
        finally:
            self._moving = False
            self._on_sent()

    def _make_viewport(self, live: LiveTileset) -> TileViewport:
        from streaming.tiles.tile_viewport import TileViewport

        session = self._session
        variant = TileVariant(session.encoding, session.framing, self.id, live.settings.name, self._data_encoding)
        offered = frozenset() if session.encoding.positional else frozenset(self.message.delta or ())
        encoder = TileEncoder.of(variant)
        viewport = TileViewport(session.outbox, encoder, offered, self._on_sent, session.tile_window, self.id)
        viewport.prepare = partial(self._encoded, encoder)
        viewport.on_refused = self._on_refused
        return viewport

    def _encoded(self, encoder: TileEncoder, tile: Tile, update: TileUpdate) -> Awaitable[Any] | None:
        """Encode a tile in a thread if that takes long."""
        if not encoder.takes_long(update):
            return None
        return self._session.runtime.service(WorkQueue).run(self._session.outbox, encoder.frames, tile, update)

    # -- messages ---------------------------------------------------------

    def _on_sent(self) -> None:
        """All tiles of one viewport have been sent.

        Once those of all have, the client is notified, if it asked for that.
        """
        viewports = [part.viewport for part in self._parts.values()]
        if self._moving or not all(each.up_to_date for each in viewports) or not any(each.progressed for each in viewports):
            return
        for each in viewports:
            each.progressed = False
        self._error_sent = False
        if self.message.progress:
            self._session.send(TilesReady(self.id))

    def _on_refused(self, tile: Tile, error: StreamError) -> None:
        """A tile cannot be rendered. The client is sent an error for the first one only, until all others have been sent."""
        if not self._error_sent:
            self._error_sent = True
            self._session.refuse(StreamError(error.code, f"tile {tile.z}/{tile.x}/{tile.y}: {error.message}"), None)

    def _ack(self, text: str, tiles: TilesInView, opened: dict[str, OpenTileset] | None) -> Ack:
        return Ack(
            request_id=self.id,
            success=True,
            message=text,
            tile_count=sum(map(len, tiles.values())),
            tilesets=None if opened is None else {name: tileset_info(tileset) for name, tileset in opened.items()},
        )


def tileset_info(tileset: OpenTileset) -> TilesetInfo:
    """What an ack says of a tileset."""
    has = tileset.metadata
    return TilesetInfo(has.format, MIME[has.format], has.tile_size, has.min_zoom, has.max_zoom, has.bounds, has.attribution)


def describe_tiles(names: list[str], message: SubscribeTiles) -> dict[str, Any]:
    """The feed and the filter of a subscription, for the admin."""
    zooms = message.zoom_range
    return {
        "feed": f"tiles:{','.join(names)}"[:MAX_FEED],
        "filter": {"bbox": [round(edge, 5) for edge in message.bbox], "zooms": f"{zooms.start} to {zooms.end - 1}"},
    }


def view_changes(message: UpdateSubscription) -> dict[str, Any]:
    """The other box and zooms of a subscription. `StreamError` for anything else."""
    changes = {name: value for name in ("bbox", "zoom_range") if (value := getattr(message, name)) is not UNSET}
    others = {name for name in message.__struct_fields__ if getattr(message, name) is not UNSET} - changes.keys() - {"subscription_id"}
    if others or None in changes.values():
        raise StreamError("bad_request", "a tile subscription takes `bbox` and `zoom_range`, and needs both")
    return changes
