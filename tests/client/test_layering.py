"""The client is for programs that have no Django project."""

from __future__ import annotations

import sys

import pytest

from tests.processes import run

FOR_TILES = "streaming.tiles.deltas, streaming.tiles.grid, streaming.tiles.images"


@pytest.mark.parametrize(
    ("imported", "absent"),
    [
        ("streaming.client", "django"),
        (f"streaming.client, {FOR_TILES}", "django"),
        ("streaming.client", "numpy"),
        ("streaming.client", "shapely"),
        (FOR_TILES, "PIL"),
    ],
)
def test_the_client_imports_only_what_it_needs(imported: str, absent: str) -> None:
    program = f"import {imported}, sys; sys.exit({absent!r} in sys.modules)"
    run(sys.executable, "-c", program)
