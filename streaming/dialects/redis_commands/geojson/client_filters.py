"""The filters of one client, which decide what it sees of values: its box and its projection.

Which of the two was switched on first decides in which CRS the box is meant: before the projection in degrees, after it in the CRS of the
output. Changing one keeps the order, clearing it gives its place up; a box with a CRS of its own does not depend on the order.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import isfinite
from typing import Any

from streaming.core.bbox import Box

from .crs import WGS84, Crs
from .spatial_filter import Area, area_of
from .values import Value


@dataclass(frozen=True, slots=True)
class Sight:
    """What a client sees of values: which, and how. Equal for clients who see the same."""

    crs: Crs = WGS84
    area: Area | None = None
    trim: bool = False

    def passes(self, value: Value) -> bool:
        """Whether the client sees a value."""
        return self.area is None or value.passes(self.area)

    def content(self, value: Value) -> bytes:
        """A value that passes, as the client sees it."""
        return value.content(self.crs, self.area if self.trim else None)

    @property
    def answer(self) -> tuple[int, Area | None]:
        """Values that pass look alike for clients for whom this is equal."""
        return self.crs.code, self.area if self.trim else None


class ClientFilters:
    """The box and the projection of a connection; both are off in the beginning."""

    def __init__(self) -> None:
        self.sight = Sight()
        self._box: Box | None = None
        self._box_crs: Crs | None = None
        self._projection: Crs | None = None
        self._box_is_projected = False

    @property
    def area(self) -> Area | None:
        """What the box covers, in the CRS in which it is meant."""
        return self.sight.area

    @property
    def crs(self) -> Crs:
        """The CRS of the output."""
        return self._projection or WGS84

    @property
    def trim(self) -> bool:
        """Whether feature collections are sent without the features outside the box."""
        return self.sight.trim

    @trim.setter
    def trim(self, trim: bool) -> None:
        self.sight = replace(self.sight, trim=trim)

    def set_box(self, box: Box, crs: Crs | None = None) -> None:
        """Left, bottom, right, top in this CRS or, without one, in that of the order."""
        if self._box is None:
            self._box_is_projected = self._projection is not None
        self._box, self._box_crs = box, crs
        self._update_area()

    def clear_box(self) -> None:
        """Everything passes."""
        self._box = None
        self._update_area()

    def set_projection(self, crs: Crs) -> None:
        """WGS 84 too keeps the projection on (and its place in the order)."""
        self._projection = crs
        self._update_area()

    def clear_projection(self) -> None:
        """Values are sent in degrees; a box that came after the projection is meant in degrees from now on."""
        self._projection = None
        self._box_is_projected = False
        self._update_area()

    def clear(self) -> None:
        """Neither box nor projection; `trim` stays."""
        self._box = None
        self.clear_projection()

    def passes(self, value: Value) -> bool:
        """Whether the client sees a value."""
        return self.sight.passes(value)

    def content(self, value: Value) -> bytes:
        """A value that passes, as the client sees it."""
        return self.sight.content(value)

    def whole(self, value: Value) -> bytes:
        """A value that the client reads by its name: in its projection, whether in the box or not."""
        return value.content(self.crs)

    def describe(self) -> dict[str, Any]:
        """What is switched on, for the admin. JSON has no numbers for infinite sides of a box."""
        described: dict[str, Any] = {}
        if self._box is not None and self.area is not None:
            described["bbox"] = [side if isfinite(side) else str(side) for side in self._box]
            if self.area.crs is not WGS84:
                described["bbox_crs"] = self.area.crs.code
        if self._projection is not None:
            described["crs"] = self._projection.code
        return described | ({"trim": True} if self.trim else {})

    def _update_area(self) -> None:
        area = None
        if self._box is not None:
            area = area_of(self._box, self._box_crs or (self.crs if self._box_is_projected else WGS84))
        self.sight = Sight(self.crs, area, self.trim)
