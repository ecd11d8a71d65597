"""The tests of the JavaScript client and of the map's modules, which run in Node.js (`npm test`)."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from .conftest import missing
from .processes import run

ROOT = Path(__file__).parent.parent


@pytest.mark.node
def test_npm_test_passes() -> None:
    npm = shutil.which("npm")
    if npm is None or not (ROOT / "node_modules" / "ws").is_dir():
        missing("Node.js and its packages (npm ci)")
    run(npm, "test", cwd=ROOT, timeout=50)
