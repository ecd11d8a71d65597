"""Both clients hold the tiles that the server believes they hold: what is in view for one is in view for all, at the edges of tiles too."""

from __future__ import annotations

import json
import random
import shutil
from itertools import product
from math import atan, degrees, pi, sinh
from pathlib import Path

import pytest

from streaming.client.picture import View
from streaming.client.tiles import Coords
from streaming.core.bbox import Box
from streaming.tiles.grid import Tile, tile_box, viewport_tiles
from tests.conftest import missing
from tests.processes import run

MODULE = Path(__file__).parents[2] / "streaming" / "static" / "streaming" / "client" / "tile-view.js"
SCRIPT = """
import { readFileSync } from "node:fs";
const { inView } = await import(process.argv[1]);
const asked = JSON.parse(readFileSync(0, "utf8"));
const held = ({ bbox, z, tiles }) => tiles.filter(([x, y]) => inView({ bbox, zoom_range: { start: z, end: z + 1 } }, { x, y, z }));
console.log(JSON.stringify(asked.map(held)));
"""


def corner(chance: random.Random, z: int) -> tuple[float, float]:
    """A position that is as likely on the edges of tiles, by one formula or the other, as elsewhere."""
    x, y = chance.randint(0, 1 << z), chance.randint(0, (1 << z) - 1)
    west, _, _, north = tile_box(z, x, y)
    same = degrees(atan(sinh(pi * (1 - 2 * y / (1 << z)))))
    return chance.choice([west, round(chance.uniform(-180, 180), 3)]), chance.choice([north, same, round(chance.uniform(-90, 90), 3)])


def box_in(chance: random.Random, z: int) -> Box:
    (west, north), (east, south) = corner(chance, z), corner(chance, z)
    return west, min(south, north), east, max(south, north)


def small_box(chance: random.Random, z: int) -> Box:
    """One tile, from edge to edge."""
    last = (1 << z) - 1
    return tile_box(z, chance.randint(0, last), chance.randint(0, last))


def around(box: Box, z: int) -> list[Tile]:
    """The tiles in view and all next to them."""
    last = (1 << z) - 1
    near = {
        (tile.x + right, tile.y + down)
        for tile in viewport_tiles(box, range(z, z + 1), 4096)
        for right, down in product((-1, 0, 1), repeat=2)
    }
    return sorted(Tile(z, x, y) for x, y in near if 0 <= x <= last and 0 <= y <= last)


def boxes() -> list[tuple[Box, int]]:
    chance = random.Random(5)
    wide = [(box_in(chance, z), z) for z in range(6) for _ in range(30)]
    return wide + [(small_box(chance, z), z) for z in range(6, 31) for _ in range(20)]


def test_the_python_client_agrees_with_the_server() -> None:
    for box, z in boxes():
        in_view = View(box, range(z, z + 1))
        held = {tile for tile in around(box, z) if Coords(tile.x, tile.y, tile.z) in in_view}
        assert held == set(viewport_tiles(box, range(z, z + 1), 4096))


@pytest.mark.node
def test_the_javascript_client_agrees_with_the_server() -> None:
    node = shutil.which("node")
    if node is None:
        missing("Node.js")
    asked = [(box, z, around(box, z)) for box, z in boxes()]
    told = json.dumps([{"bbox": box, "z": z, "tiles": [[tile.x, tile.y] for tile in tiles]} for box, z, tiles in asked])
    done = run(node, "--input-type=module", "-e", SCRIPT, MODULE.as_uri(), input=told)
    for (box, z, _), held in zip(asked, json.loads(done.stdout), strict=True):
        assert {Tile(z, x, y) for x, y in held} == set(viewport_tiles(box, range(z, z + 1), 4096)), (box, z)
