"""Aggregates over real sockets: two processes count the same, and a client goes on at the other one."""

from __future__ import annotations

import json

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


def take(cells: dict[str, str], message: FeatureData) -> None:
    feature = json.loads(message.geojson)
    if feature["geometry"] is None:
        del cells[feature["id"]]
    else:
        cells[feature["id"]] = message.geojson
