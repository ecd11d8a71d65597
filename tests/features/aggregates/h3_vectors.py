"""Places and the cells that they are in, for `tests/js/h3.test.mjs`: `python -m tests.features.aggregates.h3_vectors` writes them."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

from streaming.features.aggregates.grids import H3Grid

VECTORS = Path(__file__).parents[2] / "js" / "fixtures" / "h3-cells.json"
ODD = [(0.0, 0.0), (180.0, 0.0), (-180.0, 12.5), (179.9999, -16.0), (0.0, 90.0), (0.0, -90.0), (12.0, 89.5)]


def vectors() -> list[list[Any]]:
    """Longitude, latitude, resolution, id and geometry."""
    draw = random.Random(7)
    places = ODD + [(round(draw.uniform(-180, 180), 5), round(draw.uniform(-90, 90), 5)) for _ in range(60)]
    found = []
    for number, (x, y) in enumerate(places):
        grid = H3Grid(number % 16)
        cell = grid.cell(x, y)
        found.append([x, y, grid.resolution, grid.id_of(cell), grid.geometry_of(cell)])
    return found


if __name__ == "__main__":
    VECTORS.write_text("[\n" + ",\n".join(json.dumps(each, separators=(",", ":")) for each in vectors()) + "\n]\n")
