"""The JavaScript client as others use it: an ES module, imported by a page that has nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ..conftest import missing
from ..server_process import ServerProcess
from .contexts import Contexts
from .fleet import aircraft
from .map_page import WatchedPage

ROOT = Path(__file__).parent.parent.parent
CONNECT = """async (options) => {
  const {GeoStreamClient} = await import("/static/streaming/geostream.js");
  window.client = new GeoStreamClient("/ws", options);
  window.changes = [];
  window.flights = client.subscribeFeatures("flights", {bbox: [5.5, 45, 8.5, 46.2]});
  flights.addEventListener("change", ({detail: {type, id, reason}}) => changes.push([type, id, reason]));
  await client.connect();
  await flights.whenReady();
}"""
PLAIN: dict[str, str] = {"format": "Json", "compression": "None"}
COMPRESSED: dict[str, str] = {"format": "Json", "compression": "Zstd", "fzstd": "/static/streaming/vendor/fzstd/index.mjs"}
PACKED: dict[str, str] = {"format": "MessagePack", "msgpack": "/static/npm/@msgpack/msgpack/dist.esm/index.mjs"}
encodings = pytest.mark.parametrize(
    "options",
    [
        pytest.param(PLAIN, id="json"),
        pytest.param(COMPRESSED, id="json-zstd", marks=pytest.mark.node),
        pytest.param(PACKED, id="msgpack", marks=pytest.mark.node),
        pytest.param({**COMPRESSED, **PACKED}, id="msgpack-zstd", marks=pytest.mark.node),
    ],
)


@pytest.fixture(scope="module")
def kept_page(contexts: Contexts, shared_server: ServerProcess) -> Iterator[WatchedPage]:
    """A page of the server's origin with nothing in it."""
    blank = '<!doctype html><link rel="icon" href="data:,">'
    with contexts.lend() as context:
        page = WatchedPage(context.new_page())
        page.page.route("**/blank", lambda route: route.fulfill(content_type="text/html", body=blank))
        page.page.goto(f"{shared_server.url}/blank")
        yield page


@pytest.fixture
def blank(flights: ServerProcess, kept_page: WatchedPage) -> Iterator[WatchedPage]:
    """The same page for all tests, without a client that another has made."""
    kept_page.troubles.clear()
    yield kept_page
    kept_page.page.evaluate("client.close()")
    kept_page.check()


def connect(page: WatchedPage, options: dict[str, Any]) -> None:
    if options != PLAIN and not (ROOT / "node_modules").is_dir():
        missing("Node.js and its packages (npm ci)")
    page.page.evaluate(CONNECT, options)
    page.wait("() => flights.features.size === 3")  # the layer was made just now: its features may come after an empty snapshot


@encodings
def test_a_subscription_holds_what_matches(blank: WatchedPage, options: dict[str, Any]) -> None:
    connect(blank, options)
    assert blank.page.evaluate("[...flights.features.keys()].sort()") == ["f00", "f01", "f02"]
    assert blank.page.evaluate("flights.get('f01').properties.callsign") == "F01"


@encodings
def test_changes_arrive_as_events(flights: ServerProcess, blank: WatchedPage, options: dict[str, Any]) -> None:
    connect(blank, options)
    blank.page.evaluate("window.changes.length = 0")
    flights.publish("flights", aircraft("f00", 6.1, 46), aircraft("f01", 9, 46), aircraft("new", 7, 46))
    blank.wait("() => changes.length === 3")
    assert sorted(blank.page.evaluate("changes")) == [["added", "new", None], ["deleted", "f01", "left_view"], ["updated", "f00", None]]


@encodings
def test_an_update_brings_the_difference(blank: WatchedPage, options: dict[str, Any]) -> None:
    connect(blank, options)
    blank.page.evaluate("changes.length = 0; flights.update({bbox: [6.5, 45, 9.5, 46.2]})")
    blank.wait("() => changes.length === 2 && flights.cursor !== null")
    assert sorted(blank.page.evaluate("changes")) == [["added", "f03", None], ["deleted", "f00", "left_view"]]


@encodings
def test_a_client_that_comes_back_receives_only_what_it_missed(flights: ServerProcess, blank: WatchedPage, options: dict[str, Any]) -> None:
    connect(blank, options)
    blank.page.evaluate("changes.length = 0; client.close()")
    flights.publish("flights", aircraft("f00", 6.1, 46), aircraft("elsewhere", 10, 50))
    flights.request("DELETE", "/api/layers/flights/features/f02")
    blank.page.evaluate("client.connect()")
    blank.wait("() => changes.length === 2 && flights.cursor !== null")
    # Had the whole state been sent again, the reason would be "resync".
    assert sorted(blank.page.evaluate("changes")) == [["deleted", "f02", "deleted"], ["updated", "f00", None]]


def test_a_subscription_can_be_iterated(flights: ServerProcess, blank: WatchedPage) -> None:
    connect(blank, PLAIN)
    blank.page.evaluate("(async () => { for await (const {id} of flights) window.iterated = id; })(); 0")
    flights.publish("flights", aircraft("f00", 6.1, 46))
    blank.wait("() => window.iterated === 'f00'")
    blank.page.evaluate("flights.unsubscribe()")


def test_a_refused_subscription_says_why(blank: WatchedPage) -> None:
    connect(blank, PLAIN)
    code = blank.page.evaluate("client.subscribeFeatures('nowhere').whenReady().catch(({code}) => code)")
    assert code == "unknown_layer"


@pytest.mark.node
@pytest.mark.parametrize("options", [COMPRESSED, {**PACKED, "fzstd": COMPRESSED["fzstd"]}], ids=["json", "msgpack"])
def test_small_messages_are_compressed_with_the_layers_dictionary(
    flights: ServerProcess, blank: WatchedPage, options: dict[str, str]
) -> None:
    layer = f"fleet-{options['format']}"
    flights.publish(layer, *(aircraft(f"f{number}", 6 + number / 100, 46, track_deg=number) for number in range(200)))
    connect(blank, {**options, "dictionaries": True})
    blank.page.evaluate("(layer) => { window.fleet = client.subscribeFeatures(layer); return fleet.whenReady() }", layer)
    blank.wait("() => fleet.features.size === 200")
    sizes: list[int] = []
    while min(sizes, default=1000) > 150:  # until the dictionary is fetched, a message has some hundred bytes
        before = blank.page.evaluate("client.stats.bytes")
        flights.publish(layer, aircraft("f7", 7, 46, altitude_ft=len(sizes)))
        blank.wait(f"() => fleet.get('f7').properties.altitude_ft === {len(sizes)}")
        sizes.append(blank.page.evaluate("client.stats.bytes") - before)
        assert len(sizes) < 50
