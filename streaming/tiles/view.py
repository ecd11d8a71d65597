"""A tile view: one subscription's picture of one tileset.

It knows which tiles are wanted, which version of each the client was sent, and which are due. What waits for a slow client are places,
not bytes: only a few tiles are asked for ahead of the socket, and what changes meanwhile is simply what it is when its turn comes.
A delta is only ever sent against the version that was written to this very client last.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol

from streaming.core.errors import StreamError
from streaming.core.outbox import Outbox

from .bodies import Body
from .grid import Tile

AHEAD = 8
"""Tiles asked for and not there yet."""
READY_BYTES = 1 << 20
"""Tiles that are there and wait for the socket; beyond it no more are asked for."""


class TileEncoder(Protocol):
    """Turns tiles into what a sender writes."""

    def frames(self, tile: Tile, body: Body) -> list[Any]:
        """The finished frames."""


class Order(Protocol):
    """A tile that is under way. Answers by `arrive` or `fail`, later."""

    def cancel(self, view: TileView) -> None:
        """It is not wanted any more."""


class Supply(Protocol):
    """Where tiles come from."""

    def request(self, tile: Tile, view: TileView) -> Order:
        """Ask for the tile as it is now."""


class TileView:
    """What one client is to see of one tileset. `offered` are the deltas it can apply."""

    def __init__(self, outbox: Outbox, encoder: TileEncoder, offered: frozenset[str], on_current: Callable[[], None]) -> None:
        self.outbox = outbox
        self.encoder = encoder
        self.offered = offered
        self.owner: object = self
        self.supply: Supply | None = None
        self.refused: Callable[[Tile, StreamError], None] = lambda tile, error: None
        self._on_current = on_current
        self._rank: dict[Tile, int] = {}
        self._sent: dict[Tile, str] = {}
        self._claimed: dict[Tile, str] = {}
        self._due: dict[Tile, None] = {}
        self._asked: dict[Tile, Order | Body | StreamError] = {}
        self._ready: dict[Tile, Body] = {}
        self._ready_bytes = 0
        self._busy = False
        self._told = False

    # -- what is wanted ---------------------------------------------------

    @property
    def wanted(self) -> Iterable[Tile]:
        """The tiles in view, in the order in which they are wanted."""
        return self._rank.keys()

    @property
    def current(self) -> bool:
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
        self._told = False  # whoever moved waits to be told, also when nothing new is in view
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

    def empty(self, tiles: Iterable[Tile], nothing: Body) -> None:
        """Tell that there is nothing any more where the client holds something."""
        for tile in tiles:
            if tile in self._sent or tile in self._claimed:
                self._written(tile, nothing)
                self.outbox.send(*self.encoder.frames(tile, nothing))

    def touch(self, tiles: Iterable[Tile]) -> None:
        """These may have changed: look at them again."""
        self._owe(tile for tile in tiles if tile in self._rank)

    def pump(self) -> None:
        """Ask for what is due, as far as there is room for it; say so when nothing is left."""
        if self._busy or self.supply is None:
            return
        self._busy = True
        try:
            while self._due and len(self._asked) < AHEAD and self._ready_bytes < READY_BYTES:
                tile = next((tile for tile in self._due if tile not in self._asked), None)
                if tile is None:
                    break
                del self._due[tile]
                self._asked[tile] = self.supply.request(tile, self)
        finally:
            self._busy = False
        if self.current and not self._told:
            self._told = True
            self._on_current()

    def stop(self) -> None:
        """Ask for nothing more and drop what waits."""
        self.move(())
        self.supply = None
        self.outbox.forget(self)

    # -- what arrives -----------------------------------------------------

    def arrive(self, tile: Tile, answer: Body | StreamError) -> None:
        """A tile that was asked for is here, or cannot be had. What was asked for before is dealt with before."""
        if tile not in self._asked:
            return
        self._asked[tile] = answer
        for first, found in list(self._asked.items()):
            if isinstance(found, StreamError):
                del self._asked[first]
                self.refused(first, found)
            elif isinstance(found, Body):
                del self._asked[first]
                self._settle(first, found)
            else:
                break
        self.pump()

    def _settle(self, tile: Tile, body: Body) -> None:
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

    def _make_ready(self, tile: Tile, body: Body) -> None:
        was_waiting = bool(self._ready)
        self._unready(tile)
        self._ready[tile] = body
        self._ready_bytes += len(body.data)
        if not was_waiting:
            self.outbox.put(self)

    def _unready(self, tile: Tile) -> None:
        body = self._ready.pop(tile, None)
        if body is not None:
            self._ready_bytes -= len(body.data)

    def _written(self, tile: Tile, body: Body) -> None:
        self._claimed.pop(tile, None)
        if body.version:
            self._sent[tile] = body.version
        else:
            self._sent.pop(tile, None)

    def _owe(self, tiles: Iterable[Tile]) -> None:
        due = self._due.keys() | set(tiles)
        if len(due) > len(self._due):
            self._due = dict.fromkeys(sorted(due, key=self._rank.__getitem__))
            self._told = False

    def _forget(self, tile: Tile) -> None:
        asked = self._asked.pop(tile, None)
        if asked is not None and not isinstance(asked, Body | StreamError):
            asked.cancel(self)
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
