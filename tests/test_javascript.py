"""The tests of the JavaScript client and of the map's modules, which run in Node.js (`npm test`)."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from .conftest import missing

ROOT = Path(__file__).parent.parent


@pytest.mark.node
def test_npm_test_passes() -> None:
    npm = shutil.which("npm")
    if npm is None or not (ROOT / "node_modules" / "ws").is_dir():
        missing("Node.js and its packages (npm ci)")
    run = subprocess.run([str(npm), "test"], cwd=ROOT, capture_output=True, text=True, timeout=180)
    assert run.returncode == 0, run.stdout + run.stderr
