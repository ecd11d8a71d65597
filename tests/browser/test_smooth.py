"""Two thousand features that all move every second do not make the map stutter."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from statistics import mean, median

import pytest

from ..processes import DEVNULL, MANAGE, Start
from ..server_process import ServerProcess
from .contexts import DESKTOP
from .fleet import aircraft
from .map_page import MapPage

FEATURES = 2_000
SECONDS = 20

# Chromium draws with the processor here, and shares it with the server, the replay and whatever else runs on this machine. So what the
# map does is measured against a fixed piece of work that the page does beside it.
FRAME = 8
LONGEST_TASK = 160
"""At most, times as long as that work."""

WATCH = """() => {
  const {stats} = geostream;
  window.tasks = [];
  window.frames = [];
  window.work = [];
  const work = () => {
    const began = performance.now();
    let sum = 0;
    for (let number = 0; number < 300_000; number += 1) sum += Math.sin(number);
    window.work.push(performance.now() - began + 0 * sum);
  };
  new PerformanceObserver((list) => tasks.push(...list.getEntries().map(({duration}) => duration))).observe({type: "longtask"});
  setInterval(() => { work(); stats.frameMs !== frames.at(-1) && frames.push(stats.frameMs); }, 50);
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


@pytest.mark.long_form(only=True)
@pytest.mark.slow
@pytest.mark.timeout(120)  # ten thousand positions, drawn without a graphics card
def test_two_thousand_moving_features_stay_smooth(
    circling: ServerProcess, open_map: Callable[..., MapPage], screenshot: Callable[..., None]
) -> None:
    live = open_map(circling, viewport=DESKTOP, reduced_motion="no-preference")
    live.wait(f"() => geostream.subscriptions.flights.features.size === {FEATURES}")
    live.page.evaluate(WATCH)
    updated = live.page.evaluate("geostream.live.counters.updated")
    live.wait(f"() => geostream.live.counters.updated >= {updated + 3 * FEATURES} && window.frames.length > 2")
    frames, tasks, work = live.page.evaluate("[window.frames, window.tasks, window.work]")
    screenshot(live, "two-thousand")
    unit = mean(work)  # not the median: what others take of the processor is to be seen in it
    print(f"frames: {median(frames[1:]):.1f} ms, longest task: {max(tasks, default=0):.0f} ms, unit: {unit:.2f} ms")
    assert median(frames[1:]) < FRAME * unit
    assert max(tasks, default=0) < LONGEST_TASK * unit
