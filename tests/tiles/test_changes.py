"""Several changes together touch what each of them touches."""

from __future__ import annotations

import pytest

from streaming.tiles.changes import EVERYTHING, Touched, touched_tiles
from streaming.tiles.grid import WORLD, view
from streaming.tiles.source_changes import _Any

TILES = view(WORLD, range(5), 1000)
PARTS = {
    "tiles": touched_tiles(TILES[3:9]),
    "other tiles": touched_tiles(TILES[7:12]),
    "a box": Touched(box=(0.0, 40.0, 20.0, 60.0)),
    "zooms": Touched(zooms=range(2, 3)),
    "everything": EVERYTHING,
}


@pytest.mark.parametrize(
    "names", [("tiles",), ("tiles", "other tiles"), ("tiles", "a box"), ("a box", "zooms"), ("everything", "tiles"), ()]
)
def test_those_among_many_are_those_that_any_part_has(names: tuple[str, ...]) -> None:
    parts = [PARTS[name] for name in names]
    together = _Any(parts)
    expected = {tile for tile in TILES if any(tile in part for part in parts)}
    assert set(together.among(TILES)) == {tile for tile in TILES if tile in together} == expected
    assert expected == {tile for part in parts for tile in part.among(TILES)}
