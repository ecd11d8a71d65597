"""`manage.py tail` against a running server."""

from __future__ import annotations

import json
import os
import signal
import time
from typing import Any

import pytest
from django.core.management.color import no_style

from streaming.client import FeatureChange
from streaming.management.output_formats import HumanLines
from tests.processes import MANAGE, PIPE, Process
from tests.server_process import ServerProcess, free_port

from .conftest import feature


def tail(url: str, *arguments: str) -> Process:
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "geostream.settings"}
    return Process(*MANAGE, "tail", "--url", url, *arguments, env=environment, stdout=PIPE, stderr=PIPE)


def lines_of(server: ServerProcess, *arguments: str) -> list[Any]:
    """What a tail that ends by itself prints, as JSON."""
    with tail(server.ws_url, *arguments) as process:
        output, errors = process.communicate(timeout=30)
    assert process.returncode == 0, errors
    return [json.loads(line) for line in output.splitlines()]


@pytest.fixture
def towns(server: ServerProcess) -> ServerProcess:
    server.publish("towns", feature("bern", 7.4, 46.9, people=134_000), feature("chur", 9.5, 46.8, people=38_000))
    return server


def test_it_shows_what_is_there_and_what_changes(towns: ServerProcess) -> None:
    with tail(towns.ws_url, "--layer", "towns", "--count", "4") as process:
        assert process.stdout is not None
        first = sorted(process.stdout.readline()[9:].strip() for _ in range(2))
        assert first == ["+ towns/bern 7.4,46.9 people=134000", "+ towns/chur 9.5,46.8 people=38000"]
        towns.publish("towns", feature("bern", 7.4, 46.9, people=135_000))
        assert process.stdout.readline()[9:].strip() == "~ towns/bern 7.4,46.9 people=134000→135000"
        towns.request("DELETE", "/api/layers/towns/features/chur")
        assert process.stdout.readline()[9:].strip() == "- towns/chur (deleted)"
        assert process.wait(10) == 0


def test_conditions_choose(towns: ServerProcess) -> None:
    (line,) = lines_of(towns, "--layer", "towns", "--format", "jsonl", "--count", "1", "--bbox", "9,46,10,47", "--properties", "name")
    assert (line["type"], line["layer"], line["id"]) == ("added", "towns", "chur")
    assert line["feature"]["properties"] == {}


def test_geojson_is_the_features_alone(towns: ServerProcess) -> None:
    (line,) = lines_of(towns, "--layer", "towns", "--format", "geojson", "--count", "1", "--filter", "people > 100000")
    assert line == feature("bern", 7.4, 46.9, people=134_000)


def test_events_come_beside_changes_and_without_a_snapshot_nothing_precedes_them(towns: ServerProcess) -> None:
    with tail(towns.ws_url, "--layer", "towns", "--no-snapshot", "--events", "custom", "--format", "jsonl", "--count", "1") as process:
        while process.poll() is None:  # nothing tells when it has subscribed but that it hears and ends
            towns.post("/api/events", {"event_type": "custom", "payload": {"message": "hello"}})
            time.sleep(0.05)
        output, _ = process.communicate(timeout=10)
    assert json.loads(output)["payload"] == {"message": "hello"}


def test_ctrl_c_ends_it_well(towns: ServerProcess) -> None:
    with tail(towns.ws_url, "--layer", "towns") as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=10)
    assert (process.returncode, errors) == (0, "")


def test_a_reader_that_goes_away_ends_it_well(towns: ServerProcess) -> None:
    with tail(towns.ws_url, "--layer", "towns") as process:
        assert process.stdout is not None and process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        towns.publish("towns", feature("bern"), feature("thun"))
        towns.publish("towns", feature("bern", 8), feature("thun", 9))
        assert process.wait(10) == 0
        assert process.stderr.read() == ""


def test_an_unknown_layer_is_told(server: ServerProcess) -> None:
    with tail(server.ws_url, "--layer", "nowhere") as process:
        _, errors = process.communicate(timeout=30)
    assert process.returncode == 1
    assert "unknown_layer" in errors and "Traceback" not in errors


def test_no_server_is_told() -> None:
    with tail(f"ws://127.0.0.1:{free_port()}/ws", "--layer", "towns") as process:
        _, errors = process.communicate(timeout=30)
    assert process.returncode == 1
    assert "No GeoStream server at" in errors and "Traceback" not in errors


def test_a_terminal_is_not_obeyed_by_values() -> None:
    line = HumanLines(no_style()).change(FeatureChange("added", "towns", "bern", feature("bern", name="\x1b[2J" + "x" * 100)))
    assert "\x1b" not in line
    assert line.endswith("…")
