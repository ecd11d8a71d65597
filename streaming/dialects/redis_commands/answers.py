"""The answers to GET: the values of a hash or a layer as one client sees them, some at a time.

A few small values are prepared in the event loop. Everything else is prepared in the process's threads for costly work, piece by piece, so
that a client that asks for much waits for it, and no other does.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Hashable, Iterator, Sequence

from streaming.engine.conf import conf
from streaming.engine.work import WorkQueue

from .geojson.client_filters import Sight
from .geojson.values import BadValue, Value

PIECE_BYTES = 64 * 1024
"""Values that are prepared in one go: a few milliseconds. One value may be larger."""
INLINE_BYTES, INLINE_UNCHANGED_BYTES = 4 * 1024, 16 * 1024
"""What is prepared in the event loop; more of what is sent as it is."""
_AS_IT_IS = Sight()


class Answers:
    """Prepares what is read, for the client that waits for it."""

    def __init__(self, work: WorkQueue) -> None:
        self.capped = 0
        """How often there was more to see than is sent."""
        self._work = work

    async def one(self, text: bytes | None, sight: Sight, owner: Hashable) -> bytes | None:
        """One value, whether in the box or not; None if it is not there, or no JSON."""
        found = [] if text is None else await self._prepared([text], Sight(sight.crs), owner)
        return found[0] if found else None

    async def all(self, pages: AsyncIterator[list[bytes]], sight: Sight, owner: Hashable) -> AsyncIterator[list[bytes]]:
        """All values that the client sees, some at a time, but no more than `GEOSTREAM_REDIS_VALUES`. `owner` is who waits for them."""
        room = int(conf.REDIS_VALUES)
        async for page in pages:
            for piece in _pieces(page):
                found = await self._prepared(piece, sight, owner)
                if found[:room]:
                    yield found[:room]
                room -= len(found)
                if room < 0:
                    self.capped += 1
                    return

    async def _prepared(self, texts: Sequence[bytes], sight: Sight, owner: Hashable) -> list[bytes]:
        if sum(map(len, texts)) <= (INLINE_UNCHANGED_BYTES if sight == _AS_IT_IS else INLINE_BYTES):
            return _contents(texts, sight)
        return await self._work.run(owner, _contents, texts, sight)


def _pieces(page: Sequence[bytes]) -> Iterator[list[bytes]]:
    piece, size = list[bytes](), 0
    for text in page:
        if piece and size + len(text) > PIECE_BYTES:
            yield piece
            piece, size = [], 0
        piece.append(text)
        size += len(text)
    if piece:
        yield piece


def _contents(texts: Sequence[bytes], sight: Sight) -> list[bytes]:
    """Those values that pass, as they are seen."""
    made = list[bytes]()
    for text in texts:
        try:
            value = Value(text)
        except BadValue:
            continue
        if sight.passes(value):
            made.append(sight.content(value))
    return made
