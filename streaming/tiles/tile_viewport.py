"""A tile viewport: the tiles of one tileset that one client looks at, and which version of each it holds.

For a slow client coordinates wait, not bytes: only a few tiles are requested ahead of the socket, and a tile that
changes meanwhile is sent as it is when its turn comes. A delta is only ever sent against the version that was last
written to this very client.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Hashable, Iterable, Mapping, Sequence
from typing import Any, Protocol

from streaming.core.errors import StreamError
from streaming.core.outbox import Outbox

from .grid import Tile
from .tile_updates import TileUpdate

MAX_REQUESTED = 8
"""Tiles of one connection that are requested and have not come."""
MAX_READY_BYTES = 1 << 20
"""Tiles of one connection that have come and wait for the socket. Beyond it no more are requested."""
ORDER_WAIT_SECONDS = 0.25
"""How long a tile waits for one that was requested before it, so that tiles are sent in order."""


class TileUpdateEncoder(Protocol):
    """Encodes tile updates into frames of a dialect."""

    def frames(self, tile: Tile, update: TileUpdate, /) -> list[Any]:
        """The finished frames."""


class TileRequest(Protocol):
    """A tile that was requested. The answer comes later, by `TileViewport.receive`."""

    def cancel(self, view: TileViewport) -> None:
        """The viewport does not need it any more."""


class TileProvider(Protocol):
    """Where a viewport gets its tiles."""

    def request(self, tile: Tile, view: TileViewport) -> TileRequest:
        """Request a tile as it is now."""


class _PendingTile:
    """A tile that was requested, when, and the answer once it has come."""

    __slots__ = ("answer", "preparing", "request", "since")

    def __init__(self, request: TileRequest) -> None:
        self.request = request
        self.since = time.monotonic()
        self.answer: TileUpdate | StreamError | None = None
        self.preparing: asyncio.Future[Any] | None = None


class SendWindow:
    """Flow control for all viewports of one connection together, so that many viewports get no more than one."""

    def __init__(self) -> None:
        self.requested = 0
        self.ready_bytes = 0
        self._waiting: dict[TileViewport, None] = {}

    def fill(self, view: TileViewport | None = None) -> None:
        """Let the viewports request tiles, in turn, while there is room; `view` joins them."""
        if view is not None:
            self._waiting[view] = None
        while self._waiting and self.requested < MAX_REQUESTED and self.ready_bytes < MAX_READY_BYTES:
            first = next(iter(self._waiting))
            del self._waiting[first]
            if first.request_next():
                self._waiting[first] = None


class TileViewport:
    """One client's tiles of one tileset. `offered` are the delta encodings that the client can apply; `lane` is that of the outbox.

    `on_current` is called each time the client has been sent everything, `on_refused` for a tile that cannot be
    rendered.
    """

    def __init__(
        self,
        outbox: Outbox,
        encoder: TileUpdateEncoder,
        offered: frozenset[str],
        on_current: Callable[[], None],
        window: SendWindow | None = None,
        lane: Hashable = None,
    ) -> None:
        self.outbox = outbox
        self.lane = lane
        self.encoder = encoder
        self.offered = offered
        self.owner: object = self
        self.provider: TileProvider | None = None
        self.on_refused: Callable[[Tile, StreamError], None] = lambda tile, error: None
        self.prepare: Callable[[Tile, TileUpdate], Awaitable[Any] | None] = lambda tile, update: None
        """What has to be waited for before the encoder is asked for the frames of a tile, if encoding it takes long."""
        self.progressed = False
        """Whether anything was sent or refused, or the viewport was moved, since the owner last set this to False."""
        self._on_current = on_current
        self._window = window or SendWindow()
        self._order: dict[Tile, int] = {}
        self._sent: dict[Tile, str] = {}
        self._claimed: dict[Tile, str] = {}
        self._due: dict[Tile, None] = {}
        self._pending: dict[Tile, _PendingTile] = {}
        self._ready: dict[Tile, TileUpdate] = {}
        self._ready_bytes = 0
        self._order_timer: asyncio.TimerHandle | None = None

    # -- tiles in view ------------------------------------------------------

    @property
    def tiles(self) -> Iterable[Tile]:
        """The tiles in view, in the order in which they are sent."""
        return self._order.keys()

    @property
    def up_to_date(self) -> bool:
        """Whether the client has been sent everything, as far as is known here."""
        return not (self._due or self._pending or self._ready)

    @property
    def waiting(self) -> int:
        """How many tiles the client has still to be sent."""
        return len(self._due.keys() | self._pending.keys() | self._ready.keys())

    @property
    def held(self) -> dict[Tile, str]:
        """The versions that the client holds: those that were sent, and those that it claims to have from before."""
        return {**self._claimed, **self._sent}

    def held_version(self, tile: Tile) -> str | None:
        """The version that the client holds for certain, as the base of a delta; None if there is none."""
        return self._sent.get(tile)

    def move(self, tiles: Sequence[Tile], held: Mapping[Tile, str] | None = None) -> None:
        """Look at these tiles, in this order.

        Tiles that came into view are due; those that left it are forgotten, by both sides.

        `held` are versions that the client claims to have.
        """
        self.progressed = True  # the client waits for `tiles_ready` after a move, also when no tile is new
        self.outbox.forget(self)  # what waits goes behind the answer to the move
        before, self._order = self._order, {tile: rank for rank, tile in enumerate(tiles)}
        for tile in before.keys() - self._order.keys():
            self._forget(tile)
        if held:
            self._claimed.update((tile, version) for tile, version in held.items() if tile in self._order)
        self._add_due(tile for tile in tiles if tile not in before)
        if self._ready:
            self.outbox.put(self, self.lane)

    def clear(self, tiles: Iterable[Tile], empty: TileUpdate) -> None:
        """Send that these tiles are empty now, where the client holds something."""
        for tile in tiles:
            if tile in self._sent or tile in self._claimed:
                self._mark_sent(tile, empty)
                self.outbox.send(*self.encoder.frames(tile, empty), lane=self.lane)

    def mark_changed(self, tiles: Iterable[Tile]) -> None:
        """These tiles may have changed: request them again."""
        self._add_due(tile for tile in tiles if tile in self._order)

    def request_tiles(self) -> None:
        """Request the tiles that are due, as many as there is room for; report when nothing is left."""
        self._window.fill(self)
        if self.up_to_date:
            self._on_current()

    def request_next(self) -> bool:
        """Request the next tile that is due; returns whether there was one."""
        tile = next((tile for tile in self._due if tile not in self._pending), None)
        if tile is None or self.provider is None:
            return False
        del self._due[tile]
        self._window.requested += 1
        self._pending[tile] = _PendingTile(self.provider.request(tile, self))
        return True

    def stop(self) -> None:
        """Request nothing more and drop what waits."""
        self.move(())
        self.provider = None
        self.outbox.forget(self)
        if self._order_timer is not None:
            self._order_timer.cancel()
        self._window.fill()

    def _add_due(self, tiles: Iterable[Tile]) -> None:
        due = self._due.keys() | set(tiles)
        if len(due) > len(self._due):
            self._due = dict.fromkeys(sorted(due, key=self._order.__getitem__))

    def _forget(self, tile: Tile) -> None:
        pending = self._pending.pop(tile, None)
        if pending is not None and pending.answer is None:
            self._window.requested -= 1
            pending.request.cancel(self)
        self._due.pop(tile, None)
        self._drop_ready(tile)
        self._sent.pop(tile, None)
        self._claimed.pop(tile, None)

    # -- answers to requests ------------------------------------------------

    def receive(self, tile: Tile, answer: TileUpdate | StreamError) -> None:
        """A requested tile has come, or cannot be rendered."""
        pending = self._pending.get(tile)
        if pending is None or pending.answer is not None:
            return
        preparing = None if isinstance(answer, StreamError) else self.prepare(tile, answer)
        if preparing is None:
            self._answered(tile, pending, answer)
        else:
            pending.preparing = asyncio.ensure_future(preparing)
            pending.preparing.add_done_callback(lambda done: self._prepared(done, tile, pending, answer))

    def _prepared(self, done: asyncio.Future[Any], tile: Tile, pending: _PendingTile, answer: TileUpdate | StreamError) -> None:
        if not done.cancelled() and (error := done.exception()) is not None:
            answer = error if isinstance(error, StreamError) else StreamError("internal", "the tile could not be encoded")
        self._answered(tile, pending, answer)

    def _answered(self, tile: Tile, pending: _PendingTile, answer: TileUpdate | StreamError) -> None:
        if self._pending.get(tile) is pending and pending.answer is None:
            pending.answer = answer
            self._window.requested -= 1
            self._pass_on()

    def _pass_on(self) -> None:
        """Pass on the answers in the order of the requests, but do not let them wait too long for one that is late."""
        now = time.monotonic()
        for tile, pending in list(self._pending.items()):
            if pending.answer is None:
                if now - pending.since < ORDER_WAIT_SECONDS:
                    self._pass_on_later(pending.since + ORDER_WAIT_SECONDS - now)
                    break
            elif self._pending.pop(tile, None) is pending:
                self._handle(tile, pending.answer)
        self.request_tiles()

    def _pass_on_later(self, seconds: float) -> None:
        if self._order_timer is not None:
            self._order_timer.cancel()
        self._order_timer = asyncio.get_running_loop().call_later(seconds, self._pass_on)

    def _handle(self, tile: Tile, answer: TileUpdate | StreamError) -> None:
        if isinstance(answer, StreamError):
            self.progressed = True
            self.on_refused(tile, answer)
        else:
            self._settle(tile, answer)

    def _settle(self, tile: Tile, update: TileUpdate) -> None:
        """Send the update, or keep it until the socket takes it, or drop it if the client holds this version."""
        held = self._sent.get(tile, "")
        if update.version == (held or self._claimed.get(tile, "")):
            self._drop_ready(tile)
        elif update.base_version is not None and update.base_version != held:
            self._add_due((tile,))  # another version was written to the socket meanwhile
        elif self.outbox.idle:
            self._mark_sent(tile, update)
            self.outbox.send(*self.encoder.frames(tile, update), lane=self.lane)
        else:
            self._keep_ready(tile, update)

    def _keep_ready(self, tile: Tile, update: TileUpdate) -> None:
        was_waiting = bool(self._ready)
        self._drop_ready(tile)
        self._ready[tile] = update
        self._ready_bytes += len(update.data)
        self._window.ready_bytes += len(update.data)
        if not was_waiting:
            self.outbox.put(self, self.lane)

    def _drop_ready(self, tile: Tile) -> None:
        update = self._ready.pop(tile, None)
        if update is not None:
            self._ready_bytes -= len(update.data)
            self._window.ready_bytes -= len(update.data)

    def _mark_sent(self, tile: Tile, update: TileUpdate) -> None:
        self.progressed = True
        self._claimed.pop(tile, None)
        if update.version:
            self._sent[tile] = update.version
        else:
            self._sent.pop(tile, None)

    # -- the interface of a source of the outbox ----------------------------

    @property
    def size(self) -> int:
        """Bytes that wait for the socket."""
        return self._ready_bytes

    def __len__(self) -> int:
        return len(self._ready)

    def take(self, limit: int) -> list[Any]:
        """Encode about `limit` bytes for the socket, and request more tiles."""
        frames: list[Any] = []
        while self._ready and limit > 0:
            tile = next(iter(self._ready))
            update = self._ready[tile]
            self._drop_ready(tile)
            self._mark_sent(tile, update)
            limit -= len(update.data)
            frames += self.encoder.frames(tile, update)
        asyncio.get_running_loop().call_soon(self.request_tiles)
        return frames
