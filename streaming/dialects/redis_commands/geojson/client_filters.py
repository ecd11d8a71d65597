"""What one client sees of the values of Redis: its box and its projection.

Which of the two was switched on first decides in which CRS the box is meant: before the projection in degrees, after it in the CRS of the
output. Changing one keeps its place, clearing it gives the place up; a box with a CRS of its own depends on neither.
"""

from __future__ import annotations

from math import isfinite
from typing import Any

from streaming.core.items import Box

from .areas import Area, area_of
from .crs import WGS84, Crs
from .values import BadValue, Value

__all__ = ["Area", "BadValue", "Filters", "Value"]


class Filters:
    """The box and the projection of a connection; both are off in the beginning."""

    def __init__(self) -> None:
        self.area: Area | None = None
        """The box in force, in the CRS it is meant in."""
        self.trim = False
        """Whether feature collections are sent without the features outside the box."""
        self._box: Box | None = None
        self._box_crs: Crs | None = None
        self._projection: Crs | None = None
        self._box_is_projected = False

    @property
    def crs(self) -> Crs:
        """That of the output."""
        return self._projection or WGS84

    def set_box(self, box: Box, crs: Crs | None = None) -> None:
        """Left, bottom, right, top in the CRS given or, without, in that of the order."""
        if self._box is None:
            self._box_is_projected = self._projection is not None
        self._box, self._box_crs = box, crs
        self._settle()

    def clear_box(self) -> None:
        """Everything passes."""
        self._box = None
        self._settle()

    def set_projection(self, crs: Crs) -> None:
        """WGS 84 too keeps the projection on (and its place)."""
        self._projection = crs
        self._settle()

    def clear_projection(self) -> None:
        """Values are sent in degrees; so is a box that came after the projection meant from now on."""
        self._projection = None
        self._box_is_projected = False
        self._settle()

    def clear(self) -> None:
        """Neither box nor projection; what the client said about trimming stays."""
        self._box = None
        self.clear_projection()

    def passes(self, value: Value) -> bool:
        """Whether the client is to see a value."""
        return self.area is None or value.passes(self.area)

    def content(self, value: Value) -> bytes:
        """A value that passes, as the client is to see it."""
        return value.content(self.crs, self.area if self.trim else None)

    def whole(self, value: Value) -> bytes:
        """A value that was asked for by name: no box keeps it back, and it is in the client's projection."""
        return value.content(self.crs)

    def described(self) -> dict[str, Any]:
        """What is switched on, for people. Boxes may have sides that JSON has no numbers for."""
        described: dict[str, Any] = {}
        if self._box is not None and self.area is not None:
            described["bbox"] = [side if isfinite(side) else str(side) for side in self._box]
            if self.area.crs is not WGS84:
                described["bbox_crs"] = self.area.crs.code
        if self._projection is not None:
            described["crs"] = self._projection.code
        return described | ({"trim": True} if self.trim else {})

    def _settle(self) -> None:
        if self._box is None:
            self.area = None
        else:
            self.area = area_of(self._box, self._box_crs or (self.crs if self._box_is_projected else WGS84))
