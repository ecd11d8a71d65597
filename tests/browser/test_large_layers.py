"""A layer with more features than a map can show: cells, which dissolve into features where there are few."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import expect

from ..server_process import ServerProcess
from .conftest import remove_all
from .fleet import aircraft
from .map_page import MapPage

POINTS = 6_000
"""More than GEOSTREAM_MAP_FEATURES."""
HELD = "[...(geostream.subscriptions.big?.features.values() ?? [])]"
CELLS = f"{HELD}.length > 1 && {HELD}.every(({{properties}}) => properties.count > 0)"
FEATURES = f"{HELD}.length > 1 && {HELD}.every(({{properties}}) => properties.count === undefined)"


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
