"""A server whose tiles never stop changing does not grow: the soak of `benchmarks`, for half a minute.

A single version of a tile that is kept for each change, anywhere, would be twice the growth that it allows.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MINUTES = 0.5
PATIENCE_SECONDS = 150.0


@pytest.mark.slow
def test_memory_is_flat_while_tiles_change() -> None:
    command = [sys.executable, "-m", "benchmarks", "soak", "--minutes", str(MINUTES)]
    soak = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True)
    try:
        output, _ = soak.communicate(timeout=PATIENCE_SECONDS)
    finally:
        if soak.poll() is None:  # with the server and the Redis that it started
            os.killpg(soak.pid, signal.SIGKILL)
            soak.wait()
    print(output)
    assert soak.returncode == 0, output
    assert output.rstrip().endswith(": flat"), output
