"""Several changes together touch what each of them touches."""

from __future__ import annotations

import pytest

from streaming.tiles.change_feed import EVERYTHING, ChangedArea, changed_tiles
from streaming.tiles.change_tracker import _Union
from streaming.tiles.grid import WORLD, viewport_tiles

TILES = viewport_tiles(WORLD, range(5), 1000)
PARTS = {
    "tiles": changed_tiles(TILES[3:9]),
    "other tiles": changed_tiles(TILES[7:12]),
    "a box": ChangedArea(box=(0.0, 40.0, 20.0, 60.0)),
    "zooms": ChangedArea(zooms=range(2, 3)),
    "everything": EVERYTHING,
}


@pytest.mark.parametrize(
    "names", [("tiles",), ("tiles", "other tiles"), ("tiles", "a box"), ("a box", "zooms"), ("everything", "tiles"), ()]
)
def test_those_among_many_are_those_that_any_part_has(names: tuple[str, ...]) -> None:
    parts = [PARTS[name] for name in names]
    together = _Union(parts)
    expected = {tile for tile in TILES if any(tile in part for part in parts)}
    assert set(together.intersection(TILES)) == {tile for tile in TILES if tile in together} == expected
    assert expected == {tile for part in parts for tile in part.intersection(TILES)}
