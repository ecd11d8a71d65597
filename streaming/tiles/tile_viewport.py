"""A tile view: one subscription's picture of one tileset.

It knows which tiles are wanted, which version of each the client was sent, and which are due. What waits for a slow client are places,
not bytes: only a few tiles are asked for ahead of the socket, and what changes meanwhile is simply what it is when its turn comes.
A delta is only ever sent against the version that was written to this very client last.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol

from streaming.core.errors import StreamError
from streaming.core.outbox import Outbox

from .grid import Tile
from .tile_updates import TileUpdate

MAX_REQUESTED = 8
"""Tiles of one connection that are asked for and not there yet."""
MAX_READY_BYTES = 1 << 20
"""Tiles of one connection that are there and wait for the socket; beyond it no more are asked for."""
ORDER_WAIT_SECONDS = 0.25
"""Seconds that tiles wait for one that was asked for before them, so that they come in order."""


class TileUpdateEncoder(Protocol):
    """Turns tiles into what a sender writes."""

    def frames(self, tile: Tile, body: TileUpdate) -> list[Any]:
        """The finished frames."""


class TileRequest(Protocol):
    """A tile that is under way. Answers by `arrive`, later."""

    def cancel(self, view: TileViewport) -> None:
        """It is not wanted any more."""


class TileProvider(Protocol):
    """Where tiles come from."""

    def request(self, tile: Tile, view: TileViewport) -> TileRequest:
        """Ask for the tile as it is now."""


class _PendingTile:
    """One tile that was asked for, when, and what came."""

    __slots__ = ("answer", "order", "since")

    def __init__(self, order: TileRequest) -> None:
        self.order = order
        self.since = time.monotonic()
        self.answer: TileUpdate | StreamError | None = None


class SendWindow:
    """What the views of one connection may have under way, together: a client with many views waits no less than one with a single one."""

    def __init__(self) -> None:
        self.asked = 0
        self.ready_bytes = 0
        self._hungry: dict[TileViewport, None] = {}

    def feed(self, view: TileViewport | None = None) -> None:
        """Let views ask for tiles, in turn, while there is room."""
        if view is not None:
            self._hungry[view] = None
        while self._hungry and self.asked < MAX_REQUESTED and self.ready_bytes < MAX_READY_BYTES:
            hungry = next(iter(self._hungry))
            del self._hungry[hungry]
            if hungry.ask():
                self._hungry[hungry] = None


class TileViewport:
    """What one client is to see of one tileset. `offered` are the deltas it can apply."""

    def __init__(
        self,
        outbox: Outbox,
        encoder: TileUpdateEncoder,
        offered: frozenset[str],
        on_current: Callable[[], None],
        window: SendWindow | None = None,
    ) -> None:
        self.outbox = outbox
        self._window = window or SendWindow()
        self.encoder = encoder
        self.offered = offered
        self.owner: object = self
        self.supply: TileProvider | None = None
        self.on_refused: Callable[[Tile, StreamError], None] = lambda tile, error: None
        self._on_current = on_current
        self._rank: dict[Tile, int] = {}
        self._sent: dict[Tile, str] = {}
        self._claimed: dict[Tile, str] = {}
        self._due: dict[Tile, None] = {}
        self._asked: dict[Tile, _PendingTile] = {}
        self._ready: dict[Tile, TileUpdate] = {}
        self._ready_bytes = 0
        self.progressed = False
        """Whether anything was told, or the view was moved, since whoever looks at this last set it to False."""
        self._patience: asyncio.TimerHandle | None = None

    # -- what is wanted ---------------------------------------------------

    @property
    def tiles(self) -> Iterable[Tile]:
        """The tiles in view, in the order in which they are wanted."""
        return self._rank.keys()

    @property
    def up_to_date(self) -> bool:
        """Whether the client was sent everything as it is, as far as is known here."""
        return not (self._due or self._asked or self._ready)

    @property
    def waiting(self) -> int:
        """How many tiles the client is still to be sent."""
        return len(self._due.keys() | self._asked.keys() | self._ready.keys())

    def base(self, tile: Tile) -> str | None:
        """The version that the client holds for certain, None if a delta would have nothing to start from."""
        return self._sent.get(tile)

    def move(self, wanted: Sequence[Tile], held: Mapping[Tile, str] | None = None) -> None:
        """Want these tiles, in this order. What came into view is due; what left it is forgotten, by both sides."""
        self.progressed = True  # whoever moved waits to be told, also when nothing new is in view
        self.outbox.forget(self)  # what waits comes behind the answer to whoever moved
        before, self._rank = self._rank, {tile: rank for rank, tile in enumerate(wanted)}
        for tile in before.keys() - self._rank.keys():
            self._forget(tile)
        if held:
            self._claimed.update((tile, version) for tile, version in held.items() if tile in self._rank)
        self._owe(tile for tile in wanted if tile not in before)
        if self._ready:
            self.outbox.put(self)

    @property
    def held(self) -> dict[Tile, str]:
        """The versions that the client holds, as far as is known."""
        return {**self._claimed, **self._sent}

    def clear(self, tiles: Iterable[Tile], nothing: TileUpdate) -> None:
        """Tell that there is nothing any more where the client holds something."""
        for tile in tiles:
            if tile in self._sent or tile in self._claimed:
                self._written(tile, nothing)
                self.outbox.send(*self.encoder.frames(tile, nothing))

    def mark_changed(self, tiles: Iterable[Tile]) -> None:
        """These may have changed: look at them again."""
        self._owe(tile for tile in tiles if tile in self._rank)

    def pump(self) -> None:
        """Ask for what is due, as far as there is room for it; say so when nothing is left."""
        self._window.feed(self)
        if self.up_to_date:
            self._on_current()

    def ask(self) -> bool:
        """Ask for the next tile that is due; whether there was one."""
        tile = next((tile for tile in self._due if tile not in self._asked), None)
        if tile is None or self.supply is None:
            return False
        del self._due[tile]
        self._window.asked += 1
        self._asked[tile] = _PendingTile(self.supply.request(tile, self))
        return True

    def stop(self) -> None:
        """Ask for nothing more and drop what waits."""
        self.move(())
        self.supply = None
        self.outbox.forget(self)
        if self._patience is not None:
            self._patience.cancel()
        self._window.feed()

    # -- what arrives -----------------------------------------------------

    def arrive(self, tile: Tile, answer: TileUpdate | StreamError) -> None:
        """A tile that was asked for is here, or cannot be had."""
        asked = self._asked.get(tile)
        if asked is not None and asked.answer is None:
            asked.answer = answer
            self._window.asked -= 1
            self._pass_on()

    def _pass_on(self) -> None:
        """Tiles go on in the order in which they were asked for, but none is waited for too long."""
        now = time.monotonic()
        for tile, asked in list(self._asked.items()):
            if asked.answer is None:
                if now - asked.since < ORDER_WAIT_SECONDS:
                    self._wait(asked.since + ORDER_WAIT_SECONDS - now)
                    break
            elif self._asked.pop(tile, None) is asked:
                self._deal_with(tile, asked.answer)
        self.pump()

    def _wait(self, seconds: float) -> None:
        if self._patience is not None:
            self._patience.cancel()
        self._patience = asyncio.get_running_loop().call_later(seconds, self._pass_on)

    def _deal_with(self, tile: Tile, answer: TileUpdate | StreamError) -> None:
        if isinstance(answer, StreamError):
            self.progressed = True
            self.on_refused(tile, answer)
        else:
            self._settle(tile, answer)

    def _settle(self, tile: Tile, body: TileUpdate) -> None:
        held = self._sent.get(tile, "")
        if body.version == (held or self._claimed.get(tile, "")):
            self._unready(tile)
        elif body.base_version is not None and body.base_version != held:
            self._owe((tile,))  # a version in between was written to the socket meanwhile
        elif self.outbox.idle:
            self._written(tile, body)
            self.outbox.send(*self.encoder.frames(tile, body))
        else:
            self._make_ready(tile, body)

    def _make_ready(self, tile: Tile, body: TileUpdate) -> None:
        was_waiting = bool(self._ready)
        self._unready(tile)
        self._ready[tile] = body
        self._ready_bytes += len(body.data)
        self._window.ready_bytes += len(body.data)
        if not was_waiting:
            self.outbox.put(self)

    def _unready(self, tile: Tile) -> None:
        body = self._ready.pop(tile, None)
        if body is not None:
            self._ready_bytes -= len(body.data)
            self._window.ready_bytes -= len(body.data)

    def _written(self, tile: Tile, body: TileUpdate) -> None:
        self.progressed = True
        self._claimed.pop(tile, None)
        if body.version:
            self._sent[tile] = body.version
        else:
            self._sent.pop(tile, None)

    def _owe(self, tiles: Iterable[Tile]) -> None:
        due = self._due.keys() | set(tiles)
        if len(due) > len(self._due):
            self._due = dict.fromkeys(sorted(due, key=self._rank.__getitem__))

    def _forget(self, tile: Tile) -> None:
        asked = self._asked.pop(tile, None)
        if asked is not None and asked.answer is None:
            self._window.asked -= 1
            asked.order.cancel(self)
        self._due.pop(tile, None)
        self._unready(tile)
        self._sent.pop(tile, None)
        self._claimed.pop(tile, None)

    # -- a source of the outbox -------------------------------------------

    @property
    def size(self) -> int:
        """Bytes that wait for the socket."""
        return self._ready_bytes

    def __len__(self) -> int:
        return len(self._ready)

    def take(self, limit: int) -> list[Any]:
        """Encode about `limit` bytes' worth for the socket, and have more brought."""
        frames: list[Any] = []
        while self._ready and limit > 0:
            tile = next(iter(self._ready))
            body = self._ready[tile]
            self._unready(tile)
            self._written(tile, body)
            limit -= len(body.data)
            frames += self.encoder.frames(tile, body)
        asyncio.get_running_loop().call_soon(self.pump)
        return frames
