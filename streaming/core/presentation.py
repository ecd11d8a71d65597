"""Presentations: in which coordinate reference system, and with which properties, a view presents features.

A presentation is made once per item, however many views ask for it. Filters never see it: they work in degrees. Coordinates come out as
easting, northing (or longitude, latitude) whatever the order of the CRS's axes; heights stay as they are. A feature that has a position
the CRS cannot express is shown without geometry: JSON knows no infinity.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import msgspec

from streaming.core.errors import StreamError
from streaming.core.items import Item
from streaming.core.projection import WGS84, epsg_code, project, transformer_to

_encode = msgspec.json.Encoder(order="sorted").encode

MOST_FORMS = 16
"""Forms kept of one item. A still item lives for ever, and clients can ask for any number of different sets of properties."""


@dataclass(frozen=True, slots=True)
class Presentation:
    """An EPSG code, and the properties to keep (None: all of them). Equal presentations share what they made of an item."""

    crs: int = WGS84
    properties: tuple[str, ...] | None = None

    def geojson(self, item: Item) -> bytes:
        """The item's feature as canonical GeoJSON in this presentation."""
        if self.crs == WGS84 and self.properties is None:
            return item.value
        made: bytes | None = item.forms.get(self)
        if made is None:
            if len(item.forms) >= MOST_FORMS:
                item.forms.clear()
            made = item.forms[self] = _encode(self._feature(item))
        return made

    def _feature(self, item: Item) -> dict[str, Any]:
        feature = dict(item.feature)
        if self.properties is not None and feature.get("properties") is not None:
            kept = feature["properties"]
            feature["properties"] = {name: kept[name] for name in self.properties if name in kept}
        if self.crs != WGS84 and feature["geometry"] is not None:
            project(feature, transformer_to(self.crs))
        return feature


def compile_presentation(crs: int | str | None, properties: Iterable[str] | None) -> Presentation:
    """Read what a client asked for: 3857, "3857", "EPSG:3857", an OGC URI or URN, CRS84. StreamError invalid_crs, bad_request."""
    code = WGS84 if crs is None else epsg_code(crs)
    if code != WGS84:
        transformer_to(code)
    return Presentation(code, None if properties is None else _names(properties))


def _names(properties: Iterable[str]) -> tuple[str, ...]:
    if isinstance(properties, str | bytes):
        raise StreamError("bad_request", "properties must be a list of property names")
    names = list(properties)
    if not all(isinstance(name, str) for name in names):
        raise StreamError("bad_request", "properties must be a list of property names")
    return tuple(sorted(set(names)))
