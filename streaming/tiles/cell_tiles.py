"""Cells of an aggregate as vector tiles."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from streaming.core.items import Item

from .grid import Tile, is_near
from .sources.layer import LayerSource

NEAR = 0.1
"""Of a tile's width: what is so near may be seen in its margin."""
_encode = msgspec.json.Encoder(order="sorted").encode


def cell_tile(layer: str, cells: Iterable[Item], tile: Tile) -> bytes | None:
    """The tile, with the cells in a layer of the layer's name; None if there are none. For a thread.

    Vector tiles have no nested properties: `speed` with `max` becomes `speed.max`.
    """
    near = [_flat(cell) for cell in cells if cell.box is not None and is_near(cell.box, *tile, NEAR)]
    return LayerSource(layer, near, max_zoom=tile.z).render(*tile) if near else None


def _flat(cell: Item) -> Item:
    feature = cell.feature
    properties: dict[str, Any] = {}
    for name, value in feature["properties"].items():
        properties |= {f"{name}.{each}": number for each, number in value.items()} if isinstance(value, dict) else {name: value}
    return Item(cell.key, _encode(feature | {"properties": properties}), cell.arrived)
