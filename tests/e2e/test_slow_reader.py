"""A subscriber that does not read costs bounded memory, is not in anybody's way, and sees the latest state when it reads again.

The long form does it under the usual settings. Every run stalls for a fifth of the time, with a fifth of the time for all that the server
does about clients that do not answer; and it has fewer features that are larger, with a third of the bounds for what may wait.
"""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from tests.geo_peer import point
from tests.profiles import LONG
from tests.server_process import ServerProcess

from .conftest import Serve
from .sockets import BareSocket, GeoSocket

pytestmark = pytest.mark.long_form(only=True)

SECONDS = 60.0 if LONG else 12.0
FEATURES = 1000 if LONG else 300
NOTE = "x" * (100 if LONG else 1000)
"""A socket takes megabytes before the server notices: what does not go into them is to be more than that."""
ROUNDS = 100 if LONG else 60
"""Each server has half of them, which is more than may wait."""
LARGE = 90_000 if LONG else 10_000
TIMES = {"SLOW_SECONDS": "6", "PING_SECONDS": "4", "PING_TIMEOUT_SECONDS": "18", "STALLED_SECONDS": "24"}
BOUNDS = {"OUTBOX_MESSAGES": "6666", "OUTBOX_BYTES": str(16 * 1024 * 1024 // 3)}
SETTINGS = {} if LONG else {f"GEOSTREAM_{name}": value for name, value in {**TIMES, **BOUNDS}.items()}
MORE_MEGABYTES = 30 if LONG else 15


def megabytes(server: ServerProcess) -> float:
    """Resident memory of a server."""
    status = Path(f"/proc/{server.pid}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) / 1024


@pytest.fixture(scope="module")
def servers(serve: Serve) -> tuple[ServerProcess, ServerProcess]:
    """Of the same data."""
    return serve(**SETTINGS), serve(**SETTINGS)


def publish_round(server: ServerProcess, number: int) -> None:
    server.publish("busy", *(point(key, key / 100, number / 100, n=number, note=NOTE) for key in range(FEATURES)))


@pytest.mark.slow
@pytest.mark.long_form
@pytest.mark.timeout(SECONDS + 60)  # it waits as long as that
def test_a_subscriber_that_reads_nothing_for_long(servers: tuple[ServerProcess, ServerProcess]) -> None:
    with_slow, without = servers
    publish_round(without, 0)
    with GeoSocket(with_slow.ws_url) as fast, GeoSocket(without.ws_url) as other:
        for socket in (fast, other):
            socket.subscribe("busy", filters=[("n", "never")])
        slow = BareSocket(with_slow.port, receive_buffer=4096)
        slow.send(b'{"type":"subscribe_features","subscription_id":"s","layer":"busy"}')
        ack = json.loads(slow.frame()[1])
        assert ack["snapshot_count"] == FEATURES
        publish_round(without, 1)
        before = [megabytes(server) for server in (with_slow, without)]
        started = time.monotonic()
        for number in range(2, ROUNDS + 2):
            publish_round((with_slow, without)[number % 2], number)
            time.sleep(max(0, started + SECONDS * number / ROUNDS - time.monotonic()))
        growth, usual_growth = (megabytes(server) - old for server, old in zip((with_slow, without), before, strict=True))
        print(f"memory: {growth:+.0f} MB with a slow reader, {usual_growth:+.0f} MB without, in {time.monotonic() - started:.0f} s")
        assert growth - usual_growth < MORE_MEGABYTES
        with slow.tcp:
            held: dict[int, int] = {}
            messages = 0
            while len(held) < FEATURES or min(held.values()) < ROUNDS + 1:
                opcode, payload = slow.frame()
                assert opcode == 1
                feature = json.loads(json.loads(payload)["geojson"])
                assert feature["properties"]["n"] >= held.get(feature["id"], 0), "an older version after a newer one"
                held[feature["id"]] = feature["properties"]["n"]
                messages += 1
        assert messages < FEATURES * ROUNDS / 4


@pytest.mark.slow
@pytest.mark.long_form
@pytest.mark.timeout(120)  # tens of thousands of features, through a buffer of 4 KiB
def test_a_large_layer_reaches_a_reader_that_takes_its_time(servers: tuple[ServerProcess, ServerProcess]) -> None:
    server, _ = servers
    for start in range(0, LARGE, 5_000):
        server.publish("large", *(point(key, key / 1000, 1, note=NOTE) for key in range(start, start + 5_000)))
    slow = BareSocket(server.port, receive_buffer=4096)
    with slow.tcp:
        slow.send(b'{"type":"subscribe_features","subscription_id":"s","layer":"large"}')
        assert json.loads(slow.frame()[1])["snapshot_count"] == LARGE
        time.sleep(3)  # the server looks once a second for clients that are too slow
        ids = set()
        while len(ids) < LARGE:
            opcode, payload = slow.frame()
            assert opcode == 1, f"closed with {int.from_bytes(payload[:2], 'big')} after {len(ids)} features"
            ids.add(json.loads(payload)["id"])
