"""What the project is for: flights move on a live map, the box is narrowed, and a server that dies is caught up with, without a reload."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

import streaming

from ..processes import DEVNULL, MANAGE, Process, manage
from ..server_process import ServerProcess
from .fleet import aircraft, fleet
from .map_page import Box, MapPage, inside

RECORDING = Path(streaming.__file__).parent / "demo" / "flights-switzerland.geojsonl.gz"
BOX: Box = (7.4, 46.5, 8.9, 47.4)


def replaying(server: ServerProcess) -> Process:
    """The recorded flights, in a process of its own that does not notice what happens to the server."""
    pace = ["--start", "2018-08-01T06:10:00Z", "--speed", "30", "--drop-after", "120", "--multiply", "3", "--loop"]
    return Process(*MANAGE, "replay", RECORDING, "--layer", "flights", *pace, env=server.environment, stdout=DEVNULL)


def stored(server: ServerProcess, box: Box) -> dict[str, Any]:
    """A fresh snapshot over REST."""
    status, page = server.request("GET", f"/api/layers/flights/features?limit=10000&bbox={','.join(map(str, box))}")
    assert status == 200, page
    return {feature["id"]: feature for feature in page["features"]}


@pytest.mark.timeout(120)  # a server that starts again, two commands beside it, and a page that waits longer after each attempt
def test_flights_move_the_box_narrows_and_the_map_catches_up_with_a_killed_server(
    site: ServerProcess, open_map: Callable[..., MapPage], screenshot: Callable[..., None]
) -> None:
    site.publish("flights", aircraft("stays", 8.0, 47.0), aircraft("goes", 8.2, 47.0), aircraft("moves", 8.4, 47.0))
    with replaying(site) as replay:
        live = open_map(site)
        live.wait("() => geostream.subscriptions.flights.features.size > 30")

        before, drawn = live.features(), live.pixels()
        live.wait_for(lambda: sum(live.features().get(id) != feature for id, feature in before.items()) > 10)
        live.wait_for(lambda: live.pixels() != drawn)
        screenshot(live, "flights-dark")

        everything, left = live.number("count-total"), live.number("count-left")
        live.draw_box(BOX)
        live.wait_for(lambda: 0 < live.number("layer-flights-count") < everything and live.number("count-left") > left)
        box: Box = tuple(live.page.evaluate("geostream.live.conditions.bbox"))
        live.wait_for(lambda: all(inside(feature, box) for feature in live.features().values()))
        assert {"stays", "goes", "moves"} <= live.features().keys()
        screenshot(live, "flights-in-a-box")

        live.page.evaluate("window.sameHeap = geostream.subscriptions.flights")
        answers = len(live.received)
        with live.offline():
            site.kill()
            expect(live.by_id("connection-state")).to_have_attribute("data-state", "reconnecting")
            screenshot(live, "server-killed")
            come = [aircraft("moves", 8.5, 47.1), aircraft("comes", 8.1, 46.9)]
            code = f"from streaming import delete, publish; publish('flights', {come}); assert delete('flights', 'goes')"
            manage("shell", "-v", "0", "-c", code, env=site.environment)
            site.start()
            live.wait_for(lambda: live.state == "open", within=60)

        replay.terminate()
        replay.wait(20)
        live.wait_for(lambda: live.features() == stored(site, box))
        assert live.features()["moves"]["geometry"]["coordinates"] == [8.5, 47.1]
        assert "comes" in live.features() and "goes" not in live.features()
        assert live.page.evaluate("window.sameHeap === geostream.subscriptions.flights")
        acks = [message for message in live.received[answers:] if message["type"] == "ack" and "recovered" in message]
        assert [ack["recovered"] for ack in acks if ack["request_id"].startswith("features")] == [True]
        screenshot(live, "caught-up")


@pytest.mark.long_form(only=True)
def test_a_page_that_is_opened_sees_what_another_sees(flights: ServerProcess, open_map: Callable[..., MapPage]) -> None:
    first = open_map(flights)
    flights.publish("flights", *fleet(step=1))
    first.wait("() => geostream.subscriptions.flights.get('f00').geometry.coordinates[0] === 6.02")
    assert open_map(flights).features() == first.features()


@pytest.mark.long_form(only=True)
def test_a_feature_glides_to_its_new_place(flights: ServerProcess, open_map: Callable[..., MapPage]) -> None:
    live = open_map(flights, reduced_motion="no-preference")
    flights.publish("flights", *fleet(step=5))
    live.wait("() => geostream.subscriptions.flights.get('f00').geometry.coordinates[0] === 6.1")
    drawn = live.pixels()
    live.wait_for(lambda: live.pixels() != drawn)


def test_the_counters_latency_and_rate_are_shown(flights: ServerProcess, open_map: Callable[..., MapPage]) -> None:
    live = open_map(flights)
    live.wait_for(lambda: live.number("count-added") == 20)
    flights.publish("flights", *fleet(step=1))
    live.wait_for(lambda: live.number("count-updated") == 20)
    flights.request("DELETE", "/api/layers/flights/features/f00")
    live.wait_for(lambda: (live.number("count-left"), live.number("count-total"), live.number("layer-flights-count")) == (1, 19, 19))
    live.wait_for(lambda: live.by_id("latency").inner_text().endswith(" ms"))
    flights.publish("flights", *fleet(step=2))
    live.wait_for(lambda: live.number("rate") > 0)
