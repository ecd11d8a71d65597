"""The areas of a geofence: the features of a layer, with an index of where they are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import shapely

from streaming.core.items import Item

from .features import valid

NOWHERE: frozenset[str] = frozenset()


class Areas:
    """The areas by key. It never changes: a changed layer makes another one."""

    def __init__(self, items: Iterable[Item]) -> None:
        found = [item for item in items if item.geometry is not None]
        self.items: Mapping[str, Item] = {item.key: item for item in found}
        self._keys = list(self.items)
        self._geometries = valid(np.array([None, *(item.geometry for item in found)], dtype=object)[1:])
        shapely.prepare(self._geometries)
        self._tree = shapely.STRtree(self._geometries)

    def around(self, items: Sequence[Item | None]) -> list[frozenset[str]]:
        """The keys of the areas that each feature is in, or touches. None is nowhere."""
        geometries: Any = np.array([None, *(None if item is None else item.geometry for item in items)], dtype=object)[1:]
        present = np.flatnonzero(~shapely.is_missing(geometries))
        index, area = self._tree.query(geometries[present])
        index = present[index]
        inside = shapely.intersects(self._geometries[area], geometries[index])
        found: dict[int, set[str]] = {}
        for number, key in zip(index[inside].tolist(), area[inside].tolist(), strict=True):
            found.setdefault(number, set()).add(self._keys[key])
        return [frozenset(found[number]) if number in found else NOWHERE for number in range(len(items))]
