"""A server whose tiles never stop changing does not grow: the soak of `benchmarks`, for a minute.

A single version of a tile that is kept for each change, anywhere, would be twice the growth that it allows.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.processes import run

ROOT = Path(__file__).parents[2]
MINUTES = 1.0
PATIENCE_SECONDS = 180.0


@pytest.mark.slow
@pytest.mark.long_form(only=True)
@pytest.mark.timeout(PATIENCE_SECONDS + 10)  # the minute, and what starts and fills the server
def test_memory_is_flat_while_tiles_change() -> None:
    output = run(sys.executable, "-m", "benchmarks", "soak", "--minutes", MINUTES, cwd=ROOT, timeout=PATIENCE_SECONDS).stdout
    print(output)
    assert output.rstrip().endswith(": flat"), output
