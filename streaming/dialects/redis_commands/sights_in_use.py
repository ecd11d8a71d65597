"""The CRSs and boxes that the clients of one process have set: each different one costs a projection or a test of every message.

How many there may be at once are settings. A client that wants one more is refused; one that somebody else has already costs nothing.
Web Mercator, which nearly all maps use, counts as little as WGS 84: nobody can use up the room for it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable
from typing import TypeVar

from streaming.core.errors import StreamError
from streaming.engine.conf import conf

from .geojson.client_filters import Sight
from .geojson.crs import WGS84, Crs
from .geojson.spatial_filter import Area

K = TypeVar("K", bound=Hashable)
_ALWAYS = {WGS84.code, 3857}


class SightsInUse:
    """How many clients have each."""

    def __init__(self) -> None:
        self._crss = Counter[Crs]()
        self._areas = Counter[Area]()

    def change(self, before: Sight, after: Sight) -> None:
        """A client sees values in another way. `StreamError("rate_limited")`, and nothing has changed, if there is no room for it."""
        self._remove(before)
        try:
            _check_room(self._crss, _crss(after), conf.REDIS_CRSS, "coordinate reference systems")
            _check_room(self._areas, _areas(after), conf.REDIS_BOXES, "boxes")
        except StreamError:
            self._add(before)
            raise
        self._add(after)

    def _add(self, sight: Sight) -> None:
        self._crss.update(_crss(sight))
        self._areas.update(_areas(sight))

    def _remove(self, sight: Sight) -> None:
        _subtract(self._crss, _crss(sight))
        _subtract(self._areas, _areas(sight))


def _crss(sight: Sight) -> set[Crs]:
    used = {sight.crs} if sight.area is None else {sight.crs, sight.area.crs}
    return {crs for crs in used if crs.code not in _ALWAYS}


def _areas(sight: Sight) -> set[Area]:
    return set() if sight.area is None else {sight.area}


def _subtract(used: Counter[K], keys: Iterable[K]) -> None:
    for key in keys:
        used[key] -= 1
        if not used[key]:
            del used[key]


def _check_room(used: Counter[K], wanted: set[K], most: int, what: str) -> None:
    if len(used.keys() | wanted) > max(most, len(used)):
        raise StreamError("rate_limited", f"this server has as many different {what} in use as it may; use one of those, or try again")
