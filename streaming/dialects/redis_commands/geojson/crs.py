"""Coordinate reference systems by what clients write: epsg:3857, EPSG:3857, an OGC URN or URI.

Building the way to a CRS takes PROJ up to a tenth of a second, and so may finding out that there is none; that happens in a thread, never
in the event loop, and both answers are remembered, each in a bounded memory of its own: a client that tries one number after the other
displaces nobody's CRS. Free text is not looked up.
"""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import TypeVar

from pyproj import CRS, Transformer
from pyproj.transformer import TransformerUnsafe

from streaming.core import projection
from streaming.core.errors import StreamError
from streaming.core.projection import MAX_CACHED_CRS, epsg_code, transformer_to

LOOKUP_SECONDS = 2.0
MAX_LOOKUPS = 32
"""Codes being looked up; more are refused. Each has a thread of its own, of which two at a time work."""

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Crs:
    """Where coordinates are: easting, northing (or longitude, latitude) of an EPSG code.

    The transformer, from WGS 84, is for one thread at a time; None is WGS 84 itself.
    """

    code: int
    geographic: bool
    transformer: Transformer | None = field(default=None, compare=False, repr=False)


WGS84 = Crs(projection.WGS84, True)


class CrsCatalogue:
    """The CRSs that were asked for, and what is wrong with those that cannot be had."""

    def __init__(self, seconds: float = LOOKUP_SECONDS) -> None:
        self._seconds = seconds
        self._found: dict[int, Crs] = {}
        self._missing: dict[int, str] = {}
        self._lookups: dict[int, Future[Crs | str]] = {}
        self._working = threading.BoundedSemaphore(2)
        self._memory = threading.Lock()

    async def find(self, text: str) -> Crs:
        """StreamError invalid_crs if there is none, rate_limited if it cannot be told now."""
        code = epsg_code(text)
        if code == WGS84.code:
            return WGS84
        known = self._found.get(code) or self._missing.get(code) or await self._looked_up(code)
        self._remember(code, known)
        if isinstance(known, str):
            raise StreamError("invalid_crs", known)
        return known

    async def _looked_up(self, code: int) -> Crs | str:
        lookup = self._lookups.get(code) or self._look_up(code)
        try:
            return await asyncio.wait_for(asyncio.shield(asyncio.wrap_future(lookup)), self._seconds)
        except TimeoutError:
            raise StreamError("rate_limited", f"EPSG:{code} could not be looked up within {self._seconds:g} seconds; try again") from None

    def _look_up(self, code: int) -> Future[Crs | str]:
        if len(self._lookups) >= MAX_LOOKUPS:
            raise StreamError("rate_limited", "too many coordinate reference systems are being looked up; try again")
        lookup = self._lookups[code] = Future()
        threading.Thread(target=self._work, args=(code, lookup), name=f"EPSG:{code}", daemon=True).start()
        return lookup

    def _work(self, code: int, lookup: Future[Crs | str]) -> None:
        try:
            with self._working:
                found = build(code)
        except BaseException as error:
            lookup.set_exception(error)
            raise
        else:
            self._remember(code, found)
            lookup.set_result(found)
        finally:
            del self._lookups[code]

    def _remember(self, code: int, known: Crs | str) -> None:
        """As the last to be forgotten."""
        with self._memory:
            if isinstance(known, str):
                _put_last(self._missing, code, known)
            else:
                _put_last(self._found, code, known)


def build(code: int) -> Crs | str:
    """The CRS, or why there is none. Called in a thread that ends with it.

    pyproj builds a transformer anew for each thread that uses it, unless told not to, and what it builds belongs to a context that only
    one thread at a time may use.
    """
    try:
        transformer = transformer_to(code)
    except StreamError as error:
        return error.message
    return Crs(code, bool(CRS.from_epsg(code).is_geographic), Transformer(TransformerUnsafe(transformer._transformer)))


def _put_last(memory: dict[int, _T], code: int, value: _T) -> None:
    memory.pop(code, None)
    memory[code] = value
    while len(memory) > MAX_CACHED_CRS:
        del memory[next(iter(memory))]
