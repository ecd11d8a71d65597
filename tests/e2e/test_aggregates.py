"""Aggregates over real sockets: two processes count the same, and a client goes on at the other one."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Iterable

import h3
import pytest

from streaming.dialects.geo.messages import Aggregate, FeatureData
from tests.geo_peer import point
from tests.server_process import ServerProcess

from .conftest import Serve
from .sockets import GeoSocket

HEXAGONS = Aggregate("h3", 2, properties=["speed"])


@pytest.fixture(scope="module")
def pair(serve: Serve) -> tuple[ServerProcess, ServerProcess]:
    return serve(data="cells"), serve(data="cells")


def test_both_processes_count_the_same_and_resume_each_others_clients(pair: tuple[ServerProcess, ServerProcess]) -> None:
    here, there = pair
    here.publish("cells", *[point(number, number % 50, number % 40, speed=number / 10) for number in range(500)])
    cells = dict[str, str]()
    with GeoSocket(there.ws_url) as socket:
        ack = socket.subscribe("cells", aggregate=HEXAGONS)
        assert (ack.matched, ack.aggregate) == (500, HEXAGONS)
        for _ in range(ack.snapshot_count):
            take(cells, message := socket.next())
        here.publish("cells", point("new", 7.3, 7.3, speed=1e9))
        take(cells, message := socket.next())
        assert '"max":1000000000' in message.geojson
    there.publish("cells", *[point(number, 120, -30, speed=-1) for number in range(0, 500, 50)])
    with GeoSocket(here.ws_url) as socket, GeoSocket(there.ws_url) as fresh:
        ack = socket.subscribe("cells", aggregate=HEXAGONS, cursor=message.cursor)
        assert ack.recovered and ack.snapshot_count < len(cells) / 2
        everything = fresh.subscribe("cells", aggregate=HEXAGONS)
        shown = dict[str, str]()
        for _ in range(everything.snapshot_count):
            take(shown, fresh.next())
        while cells != shown:
            take(cells, socket.next())


@pytest.mark.long_form(only=True)
@pytest.mark.timeout(300)
def test_a_recount_of_a_hundred_thousand_moving_points_agrees(pair: tuple[ServerProcess, ServerProcess]) -> None:
    here, there = pair
    dice = random.Random(1)
    places = {number: (dice.gauss(0, 60), dice.uniform(-60, 70)) for number in range(100_000)}
    for start in range(0, len(places), 10_000):
        publish_some(here, places, range(start, start + 10_000))
    counts: Counter[str] = Counter()
    with GeoSocket(there.ws_url) as socket:
        ack = socket.subscribe("moving", aggregate=Aggregate("h3", 2))
        assert ack.matched == len(places)
        for _ in range(ack.snapshot_count):
            count(counts, socket.next())
        for _ in range(20):
            moved = dice.sample(range(len(places)), 1000)
            places |= {number: (places[number][0] + dice.gauss(0, 1), places[number][1] + dice.gauss(0, 1)) for number in moved}
            publish_some(here, places, moved)
        recount = Counter(h3.latlng_to_cell(y, x, 2) for x, y in map(wrapped, places.values()))
        wrong = {cell for cell in recount | counts if counts[cell] != recount[cell]}
        while wrong:
            cell = count(counts, socket.next())
            (wrong.discard if counts[cell] == recount[cell] else wrong.add)(cell)


def count(counts: Counter[str], message: FeatureData) -> str:
    feature = json.loads(message.geojson)
    counts[feature["id"]] = feature["properties"].get("count", 0)
    return str(feature["id"])


def publish_some(server: ServerProcess, places: dict[int, tuple[float, float]], numbers: Iterable[int]) -> None:
    server.publish("moving", *[point(number, *wrapped(places[number])) for number in numbers])


def wrapped(place: tuple[float, float]) -> tuple[float, float]:
    return (place[0] + 180) % 360 - 180, place[1]


def take(cells: dict[str, str], message: FeatureData) -> None:
    feature = json.loads(message.geojson)
    if feature["geometry"] is None:
        del cells[feature["id"]]
    else:
        cells[feature["id"]] = message.geojson
