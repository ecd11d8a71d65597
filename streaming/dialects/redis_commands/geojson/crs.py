"""Coordinate reference systems by what clients write: epsg:3857, EPSG:3857, an OGC URN or URI.

PROJ takes up to a tenth of a second to find a CRS, or to find out that there is none. That happens in a thread, never in the event loop,
and both answers are cached, apart from each other and from the core's cache: a client that tries one number after the other displaces
nobody's CRS. Free text is not looked up.
"""

from __future__ import annotations

import asyncio
import threading
from asyncio import _get_running_loop
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import TypeVar

from pyproj import CRS, Transformer
from pyproj.transformer import TransformerUnsafe

from streaming.core import projection
from streaming.core.errors import StreamError
from streaming.core.projection import MAX_CACHED_CRS, epsg_code, make_transformer

LOOKUP_SECONDS = 2.0
MAX_FOUND = 64
"""CRSs that are kept though nobody has them in use: with all threads that have used it, one takes a megabyte or more."""
MAX_LOOKUPS = 32
"""Codes being looked up; more are refused. Each has a thread of its own, of which two at a time work."""

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Crs:
    """A CRS by its EPSG code, in which coordinates are easting, northing (or longitude, latitude)."""

    code: int
    geographic: bool
    _of_the_loop: Transformer | None = field(default=None, compare=False, repr=False)
    """For one thread only."""
    _of_threads: Transformer | None = field(default=None, compare=False, repr=False)
    """pyproj builds it anew for each thread that uses it."""

    @property
    def transformer(self) -> Transformer | None:
        """From WGS 84, for the thread that asks; WGS 84 itself has none."""
        return self._of_the_loop if _get_running_loop() is not None else self._of_threads


WGS84 = Crs(projection.WGS84, True)


class CrsCatalogue:
    """Cache of CRSs, and of the reasons why others cannot be used."""

    def __init__(self, seconds: float = LOOKUP_SECONDS) -> None:
        self._seconds = seconds
        self._found: dict[int, Crs] = {}
        self._missing: dict[int, str] = {}
        self._lookups: dict[int, Future[Crs | str]] = {}
        self._working = threading.BoundedSemaphore(2)
        self._lock = threading.Lock()

    async def find(self, text: str) -> Crs:
        """`StreamError`: invalid_crs if there is none, rate_limited if that is not known in time."""
        code = epsg_code(text)
        if code == WGS84.code:
            return WGS84
        known = self._found.get(code) or self._missing.get(code) or await self._look_up(code)
        self._remember(code, known)
        if isinstance(known, str):
            raise StreamError("invalid_crs", known)
        return known

    async def _look_up(self, code: int) -> Crs | str:
        lookup = self._lookups.get(code) or self._start(code)
        try:
            return await asyncio.wait_for(asyncio.shield(asyncio.wrap_future(lookup)), self._seconds)
        except TimeoutError:
            raise StreamError("rate_limited", f"EPSG:{code} could not be looked up within {self._seconds:g} seconds; try again") from None

    def _start(self, code: int) -> Future[Crs | str]:
        if len(self._lookups) >= MAX_LOOKUPS:
            raise StreamError("rate_limited", "too many coordinate reference systems are being looked up; try again")
        lookup = self._lookups[code] = Future()
        threading.Thread(target=self._run, args=(code, lookup), name=f"EPSG:{code}", daemon=True).start()
        return lookup

    def _run(self, code: int, lookup: Future[Crs | str]) -> None:
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
        """Cache it as the most recently used."""
        with self._lock:
            if isinstance(known, str):
                _put_last(self._missing, code, known, MAX_CACHED_CRS)
            else:
                _put_last(self._found, code, known, MAX_FOUND)


def build(code: int) -> Crs | str:
    """The CRS, or why there is none. Called in a thread that ends with it.

    What pyproj builds belongs to a context that only one thread at a time may use: what was built here, the event loop uses from now on,
    and threads for costly work build their own.
    """
    transformer = make_transformer(code)
    if isinstance(transformer, str):
        return transformer
    of_the_loop = Transformer(TransformerUnsafe(transformer._transformer))
    return Crs(code, bool(CRS.from_epsg(code).is_geographic), of_the_loop, transformer)


def _put_last(cache: dict[int, _T], code: int, value: _T, most: int) -> None:
    cache.pop(code, None)
    cache[code] = value
    while len(cache) > most:
        del cache[next(iter(cache))]
