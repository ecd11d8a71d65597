"""Two thousand features that all move every second do not make the map stutter."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from statistics import median

import pytest

from ..processes import DEVNULL, MANAGE, Start
from ..server_process import ServerProcess
from .fleet import aircraft
from .map_page import MapPage

FEATURES = 2_000
SECONDS = 20

# Chromium draws with the processor here, and shares it with the server and the replay.
MEDIAN_FRAME_MS = 25
LONGEST_TASK_MS = 500

WATCH = """() => {
  const {stats} = geostream;
  window.tasks = [];
  window.frames = [];
  new PerformanceObserver((list) => tasks.push(...list.getEntries().map(({duration}) => duration))).observe({type: "longtask"});
  setInterval(() => stats.frameMs !== frames.at(-1) && frames.push(stats.frameMs), 50);
}"""


def recording(folder: Path) -> Path:
    """Every aircraft on its circle, once a second."""
    file = folder / "circles.geojsonl"
    with file.open("w") as lines:
        for second in range(SECONDS):
            for number in range(FEATURES):
                turn = number * 2.4 + second * 0.02
                lon = 8 + 2.5 * math.sqrt(number / FEATURES) * math.cos(turn)
                lat = 46.8 + 1.5 * math.sqrt(number / FEATURES) * math.sin(turn)
                time = f"2024-01-01T00:00:{second:02d}Z"
                lines.write(json.dumps(aircraft(f"c{number}", lon, lat, track_deg=number % 360, datetime=time)) + "\n")
    return file


@pytest.fixture
def circling(site: ServerProcess, tmp_path: Path, start_process: Start) -> ServerProcess:
    file = recording(tmp_path)
    site.publish("flights", aircraft("c0", 8, 46.8))
    start_process(*MANAGE, "replay", file, "--layer", "flights", "--loop", env=site.environment, stdout=DEVNULL)
    return site


@pytest.mark.slow
def test_two_thousand_moving_features_stay_smooth(
    circling: ServerProcess, open_map: Callable[..., MapPage], screenshot: Callable[..., None]
) -> None:
    live = open_map(circling)
    live.wait(f"() => geostream.subscriptions.flights.features.size === {FEATURES}")
    live.page.evaluate(WATCH)
    updated = live.page.evaluate("geostream.live.counters.updated")
    live.wait(f"() => geostream.live.counters.updated >= {updated + 5 * FEATURES} && window.frames.length > 3")
    frames, tasks = live.page.evaluate("[window.frames, window.tasks]")
    screenshot(live, "two-thousand")
    assert median(frames[1:]) < MEDIAN_FRAME_MS, frames
    assert max(tasks, default=0) < LONGEST_TASK_MS, tasks
