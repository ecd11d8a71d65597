"""Subscriptions to the cells of a layer, as a JSON client sees them."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import h3
import pytest

from streaming import adelete, apublish
from streaming.dialects.geo.feature_request import FeatureRequest
from streaming.dialects.geo.messages import Aggregate, SubscribeFeatures
from streaming.engine.runtime import Runtime
from streaming.features.aggregates.service import Aggregates
from tests.geo_peer import GeoPeer, point

from .test_features import delete_layer, save_layer, token_of

Connect = Callable[..., GeoPeer]
HEXAGONS = {"by": "h3", "resolution": 4}
CELL, OTHER = h3.latlng_to_cell(47.4, 8.5, 4), h3.latlng_to_cell(10.0, 10.0, 4)


@pytest.fixture(autouse=True)
def no_pause(settings: Any) -> None:
    settings.GEOSTREAM_AGGREGATE_SECONDS = 0.0


async def cell_of(peer: GeoPeer) -> tuple[str, str, Any]:
    """The next change as (kind, id, count)."""
    message = await peer.next()
    return message["change_type"], message["id"], json.loads(message["geojson"])["properties"].get("count")


async def test_cells_come_change_and_go(geo: Connect) -> None:
    await apublish("l", [point("a", 8.5, 47.4), point("b", 8.5, 47.4)])
    peer = geo()
    ack = await peer.subscribe(aggregate=HEXAGONS)
    assert (ack["snapshot_count"], ack["matched"]) == (1, 2)
    assert ack["aggregate"] == HEXAGONS | {"properties": []}
    assert await cell_of(peer) == ("added", CELL, 2)
    await apublish("l", point("b", 10, 10))
    assert sorted([await cell_of(peer), await cell_of(peer)]) == sorted([("updated", CELL, 1), ("added", OTHER, 1)])
    await adelete("l", "b")
    assert await cell_of(peer) == ("deleted", OTHER, None)


async def test_a_cell_is_a_polygon_with_what_its_numbers_come_to(geo: Connect) -> None:
    await apublish("l", [point(n, 8.5, 47.4, speed=speed) for n, speed in enumerate((0.1, 0.2, 0.3, "fast", True))])
    peer = geo()
    await peer.subscribe(aggregate=HEXAGONS | {"properties": ["speed"]})
    feature = json.loads((await peer.next())["geojson"])
    assert feature["properties"] == {"count": 5, "speed": {"count": 3, "sum": 0.6, "min": 0.1, "max": 0.3, "mean": 0.2}}
    corners = [[round(x, 7), round(y, 7)] for y, x in h3.cell_to_boundary(CELL)]
    assert feature["geometry"] == {"type": "Polygon", "coordinates": [[*corners, corners[0]]]}


async def test_a_move_within_a_cell_says_nothing(geo: Connect) -> None:
    await apublish("l", point("a", 8.5, 47.4, speed=1))
    peer = geo()
    await peer.subscribe(aggregate=HEXAGONS | {"properties": ["speed"]}, snapshot=False)
    await apublish("l", point("a", 8.501, 47.4, speed=1, name="x"))
    await apublish("l", point("a", 8.501, 47.4, speed=2, name="x"))
    assert await cell_of(peer) == ("updated", CELL, 1)
    assert await peer.nothing()


async def test_a_box_selects_cells_and_a_filter_the_features_counted(geo: Connect) -> None:
    await apublish("l", [point("a", 8.5, 47.4, n=1), point("b", 8.5, 47.4, n=2), point("c", 10, 10, n=2)])
    peer = geo()
    ack = await peer.subscribe(aggregate=HEXAGONS, bbox=[8, 47, 9, 48], filter="n > 1")
    assert (ack["snapshot_count"], ack["matched"]) == (1, 1)
    assert await cell_of(peer) == ("added", CELL, 1)
    moved = await peer.ask(type="update_subscription", subscription_id="s", bbox=[9, 9, 11, 11])
    assert (moved["snapshot_count"], moved["matched"]) == (2, 1)
    assert sorted([await cell_of(peer), await cell_of(peer)]) == sorted([("deleted", CELL, None), ("added", OTHER, 1)])


async def test_an_update_takes_another_resolution_or_none(geo: Connect) -> None:
    await apublish("l", point("a", 8.5, 47.4))
    peer = geo()
    await peer.subscribe(aggregate=HEXAGONS)
    await peer.next()
    ack = await peer.ask(type="update_subscription", subscription_id="s", aggregate={"by": "grid", "zoom": 1})
    assert ack["aggregate"] == {"by": "grid", "resolution": 4, "properties": []}
    assert [await cell_of(peer), await cell_of(peer)] == [("deleted", CELL, None), ("added", "4/8/5", 1)]
    ack = await peer.ask(type="update_subscription", subscription_id="s", aggregate=None)
    assert "aggregate" not in ack
    assert [await cell_of(peer), await cell_of(peer)] == [("deleted", "4/8/5", None), ("added", "a", None)]


async def test_a_cursor_brings_the_cells_that_were_missed(geo: Connect) -> None:
    await apublish("l", [point("a", 8.5, 47.4), point("b", 10, 10)])
    before, peer = geo(), geo()
    cursor = (await before.subscribe(aggregate=HEXAGONS))["cursor"]
    await apublish("l", point("c", 8.5, 47.4))
    await before.until("updated", CELL)
    ack = await peer.subscribe(aggregate=HEXAGONS, cursor=cursor)
    assert (ack["recovered"], ack["snapshot_count"], ack["matched"]) == (True, 1, 3)
    assert await cell_of(peer) == ("updated", CELL, 2)


@pytest.mark.parametrize("other", [{"aggregate": HEXAGONS | {"resolution": 3}}, {"aggregate": HEXAGONS, "filter": "n > 1"}, {}])
async def test_a_cursor_of_another_aggregate_brings_everything(geo: Connect, other: dict[str, Any]) -> None:
    await apublish("l", point("a", 8.5, 47.4, n=2))
    cursor = (await geo().subscribe(aggregate=HEXAGONS))["cursor"]
    ack = await geo().subscribe(cursor=cursor, **other)
    assert (ack["recovered"], ack["snapshot_count"]) == (False, 1)


async def test_a_layer_that_becomes_private_ends_its_aggregates(geo: Connect, runtime: Runtime) -> None:
    await apublish("l", point("a", 8.5, 47.4))
    peer = geo()
    await peer.subscribe(aggregate=HEXAGONS)
    await peer.next()
    await save_layer("l", public=False)
    ended = await peer.next()
    assert (ended["type"], ended["code"], ended["request_id"]) == ("error", "forbidden", "s")


async def test_a_private_layer_is_counted_for_its_readers_only(geo: Connect) -> None:
    await apublish("l", point("a", 8.5, 47.4))
    await save_layer("l", public=False)
    assert (await geo().subscribe(aggregate=HEXAGONS))["code"] == "unknown_layer"
    peer = geo()
    await peer.ask(type="authenticate", token=await token_of("u", is_superuser=True))
    assert (await peer.subscribe(aggregate=HEXAGONS))["matched"] == 1


async def test_a_deleted_layer_has_no_cells(geo: Connect) -> None:
    await apublish("l", point("a", 8.5, 47.4))
    peer = geo()
    await peer.subscribe(aggregate=HEXAGONS)
    await peer.next()
    await delete_layer("l")
    assert await cell_of(peer) == ("deleted", CELL, None)


async def test_clients_that_ask_for_the_same_share_one(geo: Connect, runtime: Runtime) -> None:
    await apublish("l", point("a", 8.5, 47.4))
    one, other = geo(), geo()
    await one.subscribe(aggregate=HEXAGONS)
    await other.subscribe(aggregate={"by": "h3", "zoom": 7}, bbox=[0, 0, 1, 1])
    assert ("geostream_aggregates", (), 1) in list(runtime.service(Aggregates).collect())


async def test_a_process_keeps_so_many_and_drops_first_those_that_nobody_looks_at(geo: Connect, settings: Any) -> None:
    settings.GEOSTREAM_MAX_AGGREGATES = 1
    await apublish("l", point("a", 8.5, 47.4))
    one, other = geo(), geo()
    assert (await one.subscribe(aggregate=HEXAGONS))["success"]
    assert (await other.subscribe(aggregate=HEXAGONS | {"resolution": 3}))["code"] == "too_many_aggregates"
    await one.ask(type="unsubscribe", subscription_id="s")
    assert (await other.subscribe(aggregate=HEXAGONS | {"resolution": 3}))["success"]


async def test_one_address_may_have_so_many_and_share_those_of_others(geo: Connect, settings: Any) -> None:
    settings.GEOSTREAM_MAX_ADDRESS_AGGREGATES = 1
    await apublish("l", point("a", 8.5, 47.4))
    one, other, third = geo(), geo(), geo()
    assert (await one.subscribe(aggregate=HEXAGONS))["success"]
    assert (await other.subscribe(aggregate=HEXAGONS | {"resolution": 3}))["code"] == "too_many_aggregates"
    assert (await other.subscribe(aggregate=HEXAGONS))["success"]
    third._socket.scope["client"] = ["192.0.2.7", 1]
    assert (await third.subscribe(aggregate=HEXAGONS | {"resolution": 3}))["success"]


@pytest.mark.parametrize("limit", ["MAX_COSTLY_FILTERS", "MAX_CLIENT_COSTLY_FILTERS"])
async def test_costly_filters_of_what_is_counted_count(geo: Connect, settings: Any, limit: str) -> None:
    setattr(settings, f"GEOSTREAM_{limit}", 1)
    await apublish("l", point("a", 8.5, 47.4, n=2))
    peer = geo()
    assert (await peer.subscribe(aggregate=HEXAGONS, filter="n > 1"))["success"]
    assert (await peer.subscribe(id="t", filter="n > 2"))["code"] == "too_many_filters"
    assert (await peer.subscribe(id="t", aggregate=HEXAGONS, filter="n > 2"))["code"] == "too_many_filters"


async def test_one_that_nobody_looks_at_is_brought_up_to_date_when_somebody_comes(geo: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streaming.features.aggregates.aggregate.UNWATCHED_SECONDS", 1000.0)
    await apublish("l", point("a", 8.5, 47.4))
    one, other = geo(), geo()
    await one.subscribe(aggregate=HEXAGONS)
    await one.ask(type="unsubscribe", subscription_id="s")
    await apublish("l", point("b", 8.5, 47.4))
    await apublish("l", point("c", 8.5, 47.4))
    await other.subscribe(aggregate=HEXAGONS)
    while await cell_of(other) not in (("updated", CELL, 3), ("added", CELL, 3)):
        pass


async def test_an_aggregate_is_listed_and_written_down_as_it_was_taken(geo: Connect) -> None:
    await apublish("l", point("a", 8.5, 47.4))
    peer = geo()
    await peer.subscribe(aggregate={"by": "h3", "zoom": 7})
    listed = (await peer.ask(type="list_subscriptions"))["subscriptions"][0]
    assert listed["aggregate"] == HEXAGONS | {"properties": []}
    request = await FeatureRequest.check(SubscribeFeatures("s", layer="l", aggregate=Aggregate("h3", zoom=7)))
    assert json.loads(json.dumps(request.describe())) == {"aggregate": HEXAGONS | {"properties": []}}


async def test_a_connection_may_have_so_many(geo: Connect, settings: Any) -> None:
    settings.GEOSTREAM_MAX_CLIENT_AGGREGATES = 1
    await apublish("l", point("a", 8.5, 47.4))
    peer = geo()
    assert (await peer.subscribe(aggregate=HEXAGONS))["success"]
    assert (await peer.subscribe(id="t", aggregate=HEXAGONS))["code"] == "too_many_aggregates"
    assert (await peer.ask(type="update_subscription", subscription_id="s", aggregate=HEXAGONS | {"resolution": 3}))["success"]
    assert (await peer.subscribe(id="t"))["success"]
    assert (await peer.ask(type="update_subscription", subscription_id="t", aggregate=HEXAGONS))["code"] == "too_many_aggregates"


async def test_all_aggregates_of_a_process_may_have_so_many_cells(geo: Connect, settings: Any) -> None:
    settings.GEOSTREAM_MAX_PROCESS_AGGREGATE_CELLS = 3
    await apublish("l", [point("a", 8.5, 47.4), point("b", 10, 10)])
    one, other = geo(), geo()
    assert (await one.subscribe(aggregate=HEXAGONS))["success"]
    assert (await other.subscribe(aggregate=HEXAGONS | {"resolution": 3}))["code"] == "too_many_cells"
    await one.ask(type="unsubscribe", subscription_id="s")
    assert (await other.subscribe(aggregate=HEXAGONS | {"resolution": 3}))["success"]


async def test_any_property_can_be_summed_up_whatever_it_is_called(geo: Connect) -> None:
    names = ['5" pipes', "back\\slash", "line\nbreak", "nul\0", "naïve ☃", "a.b", ""]
    await apublish("l", [point("a", 8.5, 47.4, **dict.fromkeys(names[:5], 1)), point("b", 8.5, 47.4, **{names[0]: True})])
    peer = geo()
    assert (await peer.subscribe(aggregate=HEXAGONS | {"properties": names[:5]}))["success"]
    properties = json.loads((await peer.next())["geojson"])["properties"]
    assert {name: properties[name]["sum"] for name in names[:5]} == dict.fromkeys(names[:5], 1)
    await apublish("l", point("a", 8.5, 47.4, **{names[0]: 2}))
    properties = json.loads((await peer.next())["geojson"])["properties"]
    assert [properties[name]["count"] for name in names[:5]] == [1, 0, 0, 0, 0]
    assert (await peer.subscribe(id="t", aggregate=HEXAGONS | {"properties": names[5:]}))["success"]


async def test_names_that_each_cell_repeats_are_short(geo: Connect, settings: Any) -> None:
    settings.GEOSTREAM_MAX_AGGREGATE_PROPERTY_LENGTH = 5
    await apublish("l", point("a", 8.5, 47.4))
    peer = geo()
    assert (await peer.subscribe(aggregate=HEXAGONS | {"properties": ["speed"]}))["success"]
    assert (await peer.subscribe(id="t", aggregate=HEXAGONS | {"properties": ["speeds"]}))["code"] == "bad_request"


async def test_too_many_cells_are_refused(geo: Connect, settings: Any) -> None:
    settings.GEOSTREAM_MAX_AGGREGATE_CELLS = 1
    await apublish("l", [point("a", 8.5, 47.4), point("b", 10, 10)])
    peer = geo()
    assert (await peer.subscribe(aggregate=HEXAGONS))["code"] == "too_many_cells"
    assert (await peer.subscribe(aggregate={"by": "grid", "resolution": 0}))["success"]


async def test_who_asks_again_for_too_many_cells_has_nothing_counted(geo: Connect, settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.GEOSTREAM_MAX_AGGREGATE_CELLS = 1
    await apublish("l", [point("a", 8.5, 47.4), point("b", 10, 10)])
    assert (await geo().subscribe(aggregate=HEXAGONS))["code"] == "too_many_cells"
    with monkeypatch.context() as patch:
        patch.delattr("streaming.features.aggregates.aggregate.Aggregate.build")
        assert (await geo().subscribe(aggregate=HEXAGONS))["code"] == "too_many_cells"
    await adelete("l", "b")
    assert (await geo().subscribe(aggregate=HEXAGONS))["success"]


@pytest.mark.parametrize(
    "asked",
    [
        {"by": "hexagon", "resolution": 3},
        {"by": "h3"},
        {"by": "h3", "resolution": 16},
        {"by": "h3", "resolution": -1},
        {"by": "grid", "zoom": 31},
        {"by": "h3", "zoom": 3, "resolution": 3},
        {"by": "h3", "zoom": 3, "properties": ["count"]},
        {"by": "h3", "zoom": 3, "properties": [str(number) for number in range(11)]},
        {"by": "h3", "zoom": 3, "size": 3},
        {"zoom": 3},
    ],
)
async def test_what_cannot_be_counted_is_refused(geo: Connect, asked: dict[str, Any]) -> None:
    await apublish("l", point("a", 8.5, 47.4))
    answer = await geo().subscribe(aggregate=asked)
    assert answer["code"] == "bad_request"


@pytest.mark.parametrize("more", [{"layer": None}, {"min_distance": 5.0}])
async def test_what_makes_no_sense_with_cells_is_refused(geo: Connect, more: dict[str, Any]) -> None:
    await apublish("l", point("a", 8.5, 47.4))
    assert (await geo().subscribe(**{"layer": "l", "aggregate": HEXAGONS, **more}))["code"] == "bad_request"


async def test_max_rate_holds_a_cell_back_and_sends_its_latest_state(geo: Connect) -> None:
    await apublish("l", point("a", 8.5, 47.4))
    peer = geo()
    await peer.subscribe(aggregate=HEXAGONS, max_rate=5, snapshot=False)
    for number in range(20):
        await apublish("l", point(number, 8.5, 47.4))
    counts = []
    while not counts or counts[-1] != 21:
        counts.append((await cell_of(peer))[2])
    assert len(counts) < 10


async def test_one_that_grows_too_large_ends_its_clients_who_are_refused_when_they_come_again(geo: Connect, settings: Any) -> None:
    settings.GEOSTREAM_MAX_AGGREGATE_CELLS = 1
    await apublish("l", point("a", 8.5, 47.4))
    peer = geo()
    assert (await peer.subscribe(aggregate=HEXAGONS))["success"]
    await apublish("l", point("b", 10, 10))
    assert (await peer.closed())[0] == 4513
    assert (await geo().subscribe(aggregate=HEXAGONS))["code"] == "too_many_cells"
