"""A layer with more features than a map can show: cells, which dissolve into features where there are few."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import expect

from ..server_process import ServerProcess
from .conftest import remove_all
from .fleet import aircraft
from .map_page import OVERLAY, MapPage

POINTS = 6_000
"""More than GEOSTREAM_MAP_FEATURES."""
HELD = "[...(geostream.subscriptions.big?.features.values() ?? [])]"
CELLS = f"{HELD}.length > 1 && {HELD}.every(({{properties}}) => properties.count > 0)"
FEATURES = f"{HELD}.length > 1 && {HELD}.every(({{properties}}) => properties.count === undefined)"
WATCH = f"""() => {{
  const overlay = {OVERLAY};
  window.done = {{paints: 0, paths: 0, frames: 0}};
  const [paint, Path] = [overlay._paintShapes, Path2D];
  overlay._paintShapes = function (...what) {{ done.paints += 1; return paint.apply(this, what); }};
  window.Path2D = class extends Path {{ constructor(...of) {{ super(...of); done.paths += 1; }} }};
  const frame = () => {{ done.frames += 1; requestAnimationFrame(frame); }};
  requestAnimationFrame(frame);
}}"""
"""Counts how often cells are drawn, and how many shapes are made."""


@pytest.fixture(scope="module")
def big(shared_server: ServerProcess) -> Iterator[ServerProcess]:
    dice = random.Random(7)
    shared_server.publish("big", *(aircraft(f"b{n}", dice.uniform(-20, 40), dice.uniform(35, 60)) for n in range(POINTS)))
    yield shared_server
    remove_all(shared_server)


def test_a_large_layer_is_shown_as_cells_that_dissolve_into_features(
    big: ServerProcess, open_map: Callable[..., MapPage], screenshot: Callable[..., None]
) -> None:
    live = open_map(big, "map=3/47/10")
    live.wait(f"() => {CELLS}")
    assert live.page.evaluate(f"{HELD}.reduce((sum, {{properties}}) => sum + properties.count, 0)") == POINTS
    expect(live.by_id("layer-big-count")).to_have_text("6\u202f000")
    expect(live.page.locator("#legend")).to_contain_text("Features in a cell")
    live.wait_for(lambda: live.ink() > 10_000)
    screenshot(live, "cells")
    live.show(6, 47, 10)
    live.wait(f"() => {FEATURES}")
    live.wait_for(lambda: 0 < live.number("layer-big-count") < 1000)
    live.show(3, 47, 10)
    live.wait(f"() => {CELLS}")


def test_what_changes_is_seen_in_the_cells(big: ServerProcess, open_map: Callable[..., MapPage]) -> None:
    live = open_map(big, "map=3/47/10")
    live.wait(f"() => {CELLS}")
    big.publish("big", aircraft("new", 10, 47))
    expect(live.by_id("layer-big-count")).to_have_text("6\u202f001")


@pytest.mark.long_form(only=True)
def test_cells_are_drawn_again_if_they_look_different_and_once_a_frame(big: ServerProcess, open_map: Callable[..., MapPage]) -> None:
    live = open_map(big, "map=3/47/10")
    live.wait(f"() => {CELLS}")
    counted = live.page.evaluate(f"{HELD}.reduce((sum, {{properties}}) => sum + properties.count, 0)")
    live.wait(f"() => {OVERLAY}._stale.size === 0")
    live.page.evaluate(WATCH)
    big.publish("big", aircraft("one more", 10, 47))
    live.wait(f"() => {HELD}.reduce((sum, {{properties}}) => sum + properties.count, 0) === {counted + 1}")
    live.wait("() => done.frames > 2")
    assert live.page.evaluate("[done.paints, done.paths]") == [0, 0]
    dice = random.Random(8)
    big.publish("big", *(aircraft(f"b{n}", dice.uniform(5, 15), dice.uniform(45, 50)) for n in range(3000)))
    live.wait(f"() => Math.max(...{HELD}.map(({{properties}}) => properties.count)) > 300 && {OVERLAY}._stale.size === 0")
    done = live.page.evaluate("done")
    assert 0 < done["paints"] <= done["frames"]
