"""Tile subscriptions of one connection: what is asked for, understood, and one view a tileset.

As with features, what is checked may wait, but between working out what is wanted and joining nothing does.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from msgspec import UNSET, structs

from streaming.core.errors import StreamError
from streaming.engine.catalogue import readable
from streaming.engine.conf import conf
from streaming.tiles.grid import MAX_ZOOM, Tile, viewport_tiles
from streaming.tiles.sources.base import MIME
from streaming.tiles.tilesets import TilesetSettings, tilesets

from .messages import (
    Ack,
    DataEncoding,
    HeldTile,
    MessageFormat,
    SubscribeTiles,
    SubscriptionInfo,
    TilesetInfo,
    TilesReady,
    UpdateSubscription,
)
from .requests import check_id
from .tile_encoder import TileVariant, tile_encoder

if TYPE_CHECKING:
    from streaming.tiles.live_tileset import LiveTileset
    from streaming.tiles.live_tilesets import LiveTilesets
    from streaming.tiles.tile_renderer import OpenTileset
    from streaming.tiles.tile_viewport import TileViewport

    from .session import GeoSession

RASTER_SIZES = (256, 512)
MAX_FEED = 120
"""What the admin's table has room for; a list of tilesets may be longer."""


@dataclass(slots=True)
class _Picture:
    """One tileset of a subscription."""

    live: LiveTileset
    view: TileViewport


class TileSubscription:
    """Tiles of one or several tilesets."""

    kind = "tiles"

    def __init__(self, session: GeoSession, message: SubscribeTiles) -> None:
        check_id(message.subscription_id)
        self.id = message.subscription_id
        self.since = time.time()
        self._session = session
        self._encoding = _data_encoding(message, session)
        self._names = _names(message)
        self.message = _understood(message, self._names)
        self._have = message.have or {}
        self._pictures: dict[str, _Picture] = {}
        self._told_of_error = False
        self._settling = False

    @property
    def _tiles(self) -> LiveTilesets:
        from streaming.tiles.live_tilesets import LiveTilesets  # what it needs takes a moment to import

        return self._session.connection.runtime.service(LiveTilesets)

    @property
    def waiting(self) -> int:
        """Tiles that the client is still to be sent."""
        return sum(picture.view.waiting for picture in self._pictures.values())

    @property
    def dropped(self) -> int:
        """Nothing is: a slow client gets the tile as it is when its turn comes."""
        return 0

    async def start(self) -> None:
        """Join; the ack is sent and the tiles come. `StreamError` if anything was refused; then nothing was joined."""
        found = [_sized(await _readable(name, self._session.user), self.message.tile_size) for name in self._names]
        held: list[LiveTileset] = []
        try:
            for settings in found:
                held.append(await self._tiles.acquire(settings))
            opened = {live.settings.name: await live.opened() for live in held}
            wanted = self._wanted(self.message, opened)
        except BaseException:
            for live in held:
                self._tiles.release(live)
            raise
        # Nothing awaits from here on.
        for live in held:
            self._pictures[live.settings.name] = _Picture(live, self._view(live))
        self._session.send(self._ack("Subscribed to tiles", wanted, opened))
        for name, picture in self._pictures.items():
            picture.view.move(wanted[name], _held(self._have, name))
        self._have = {}  # it may be much larger than the view
        with self._moving():
            for picture in self._pictures.values():
                picture.live.attach(picture.view)

    async def update(self, message: UpdateSubscription) -> None:
        """Another box, or other zooms: what came into view is sent, what left it is forgotten."""
        changes = {name: value for name in ("bbox", "zoom_range") if (value := getattr(message, name)) is not UNSET}
        others = {name for name in message.__struct_fields__ if getattr(message, name) is not UNSET} - changes.keys() - {"subscription_id"}
        if others or None in changes.values():
            raise StreamError("bad_request", "a tile subscription takes `bbox` and `zoom_range`, and needs both")
        opened = await self._opened()
        if self._session.subscriptions.get(self.id) is not self:
            raise StreamError("unknown_subscription", "the subscription has ended: its tileset may no longer be read")
        # Nothing awaits from here on.
        after = structs.replace(self.message, **changes)
        wanted = self._wanted(after, opened)
        self.message = after
        self._session.send(self._ack("Updated", wanted, None))
        self._move(wanted)

    async def review(self) -> None:
        """Tilesets have changed, or who is asking: end if one may not be read any more, show others anew."""
        try:
            for name, picture in list(self._pictures.items()):
                settings = _sized(await _readable(name, self._session.user), self.message.tile_size)
                if settings != picture.live.settings:
                    await self._show_anew(name, settings)
            opened = await self._opened()
            wanted = self._wanted(self.message, opened)  # as it is asked for now: it may have been updated meanwhile
        except StreamError as error:
            if error.kind.retry:
                raise
            if self._pictures:
                self._end(error)
            return
        if any(list(picture.view.tiles) != wanted[name] for name, picture in self._pictures.items()):
            self._clear_beyond(wanted)
            self._move(wanted)

    def stop(self) -> None:
        """Leave."""
        pictures, self._pictures = self._pictures, {}
        for picture in pictures.values():
            picture.live.detach(picture.view)
            self._tiles.release(picture.live)

    def info(self) -> SubscriptionInfo:
        """For `list_subscriptions`."""
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
        """For the admin."""
        zooms = self.message.zoom_range
        return {
            "feed": f"tiles:{','.join(self._names)}"[:MAX_FEED],
            "filter": {"bbox": [round(edge, 5) for edge in self.message.bbox], "zooms": f"{zooms.start} to {zooms.end - 1}"},
        }

    async def _show_anew(self, name: str, settings: TilesetSettings) -> None:
        """The tileset has other settings."""
        live = await self._tiles.acquire(settings)
        picture = self._pictures.get(name)
        if picture is None or live is picture.live:  # it has been told its new settings
            self._tiles.release(live)
            return
        view = self._view(live)
        view.move(list(picture.view.tiles), picture.view.held)
        picture.live.detach(picture.view)
        self._tiles.release(picture.live)
        self._pictures[name] = _Picture(live, view)
        live.attach(view)

    def _clear_beyond(self, wanted: dict[str, list[Tile]]) -> None:
        """Tiles that the tileset does not have any more: the client still looks there."""
        from streaming.tiles.tile_updates import whole_tile

        for name, picture in self._pictures.items():
            picture.view.clear(set(picture.view.tiles).difference(wanted[name]), whole_tile(None))

    async def _opened(self) -> dict[str, OpenTileset]:
        return {name: await picture.live.opened() for name, picture in list(self._pictures.items())}

    def _wanted(self, message: SubscribeTiles, opened: dict[str, OpenTileset]) -> dict[str, list[Tile]]:
        """The tiles in view of each tileset, in the order in which they are sent. `StreamError`."""
        asked = message.zoom_range
        if asked.start > MAX_ZOOM:
            raise StreamError("bad_request", f"there are zooms from 0 to {MAX_ZOOM}, not {asked.start}")
        left = int(conf.MAX_TILES)
        wanted: dict[str, list[Tile]] = {}
        for name, has in opened.items():
            zooms = range(max(asked.start, has.metadata.min_zoom), min(asked.end, has.metadata.max_zoom + 1))
            wanted[name] = viewport_tiles(message.bbox, zooms, left)
            left -= len(wanted[name])
        return wanted

    def _move(self, wanted: dict[str, list[Tile]]) -> None:
        with self._moving():
            for name, picture in self._pictures.items():
                before = list(picture.view.tiles)
                picture.view.move(wanted.get(name, ()))
                picture.live.viewport_moved(picture.view, before)

    @contextmanager
    def _moving(self) -> Iterator[None]:
        """While several views move, none says alone that all has been sent."""
        self._settling = True
        try:
            yield
        finally:
            self._settling = False
            self._current()

    def _view(self, live: LiveTileset) -> TileViewport:
        from streaming.tiles.tile_viewport import SendWindow, TileViewport

        session = self._session
        session.tile_window = session.tile_window or SendWindow()
        variant = TileVariant(session.encoding, session.framing, self.id, live.settings.name, self._encoding)
        offered = frozenset() if session.encoding.positional else frozenset(self.message.delta or ())
        made = TileViewport(session.outbox, tile_encoder(variant), offered, self._current, session.tile_window)
        made.on_refused = self._refused
        return made

    def _current(self) -> None:
        """One tileset's tiles have all been sent."""
        views = [picture.view for picture in self._pictures.values()]
        if self._settling or not all(each.up_to_date for each in views) or not any(each.progressed for each in views):
            return
        for each in views:
            each.progressed = False
        self._told_of_error = False
        if self.message.progress:
            self._session.send(TilesReady(self.id))

    def _refused(self, tile: Tile, error: StreamError) -> None:
        """A tile cannot be rendered. Others that cannot either, of the same turn, are not told."""
        if not self._told_of_error:
            self._told_of_error = True
            self._session.refuse(StreamError(error.code, f"tile {tile.z}/{tile.x}/{tile.y}: {error.message}"), None)

    def _end(self, why: StreamError) -> None:
        self.stop()
        self._session.forget(self.id)
        self._session.refuse(StreamError(why.code, f"{why.message}; the subscription has ended"), self.id)

    def _ack(self, text: str, wanted: dict[str, list[Tile]], opened: dict[str, OpenTileset] | None) -> Ack:
        return Ack(
            request_id=self.id,
            success=True,
            message=text,
            tile_count=sum(map(len, wanted.values())),
            tilesets=None if opened is None else {name: _info(has) for name, has in opened.items()},
        )


def _names(message: SubscribeTiles) -> list[str]:
    names = message.tileset if isinstance(message.tileset, list) else [message.tileset or conf.DEFAULT_TILESET]
    if not names or not all(names):
        raise StreamError("unknown_tileset", "name a `tileset`: this site has no default one (GEOSTREAM_DEFAULT_TILESET)")
    return list(dict.fromkeys(names))


def _understood(message: SubscribeTiles, names: list[str]) -> SubscribeTiles:
    """What is kept of the request: each tileset once, and only deltas there are, or who names others would get deltas of their own."""
    from streaming.tiles.deltas import ENCODINGS

    delta = None if message.delta is None else [name for name in ENCODINGS if name in message.delta]
    return structs.replace(message, have=None, delta=delta, tileset=names[0] if isinstance(message.tileset, str) else names)


def _data_encoding(message: SubscribeTiles, session: GeoSession) -> DataEncoding:
    asked = message.data_encoding or DataEncoding.LIST
    packed = session.encoding.format is not MessageFormat.JSON
    if asked is (DataEncoding.BASE64 if packed else DataEncoding.BIN):
        raise StreamError("bad_request", f"`data_encoding` is {'bin' if packed else 'base64'} or list in {session.encoding.format.value}")
    return asked


async def _readable(name: str, user: Any) -> TilesetSettings:
    tileset = await tilesets.get(name)
    if not await readable(tileset, user):
        raise StreamError("forbidden" if user.is_authenticated else "unauthenticated", f"tileset {name!r} is not public")
    return tileset


def _sized(tileset: TilesetSettings, size: int | None) -> TilesetSettings:
    """The tileset as it was asked for: rasters are rendered in either size, finished tiles are what they are."""
    if not tileset.source_kind.any_image or not size or size == tileset.tile_size:
        return tileset
    if size not in RASTER_SIZES:
        raise StreamError("bad_request", f"`tile_size` is 256 or 512, not {size}")
    return replace(tileset, tile_size=size, variant=f"@{size}")


def _held(have: dict[str, list[HeldTile]], tileset: str) -> dict[Tile, str]:
    return {Tile(z, x, y): version for x, y, z, version in have.get(tileset, [])}


def _info(opened: OpenTileset) -> TilesetInfo:
    has = opened.metadata
    return TilesetInfo(has.format, MIME[has.format], has.tile_size, has.min_zoom, has.max_zoom, has.bounds, has.attribution)
