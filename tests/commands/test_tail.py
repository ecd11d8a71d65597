"""`manage.py tail` against a running server: as a call, and as a process where it matters that it is one."""

from __future__ import annotations

import io
import json
import os
import select
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TextIO

import pytest
from django.core.management import CommandError, call_command
from django.core.management.color import no_style

from streaming.client import FeatureChange
from streaming.management.output_formats import HumanLines
from tests.processes import MANAGE, PIPE, Process
from tests.server_process import ServerProcess, free_port

from .conftest import feature

ENDS_SECONDS = 10.0


def called(url: str, *arguments: str, stdout: TextIO | None = None) -> str:
    """What a tail that ends by itself prints."""
    out = stdout or io.StringIO()
    call_command("tail", "--url", url, *arguments, stdout=out, stderr=out, no_color=True)
    return out.getvalue() if isinstance(out, io.StringIO) else ""


def lines_of(server: ServerProcess, *arguments: str) -> list[Any]:
    """The same as JSON."""
    return [json.loads(line) for line in called(server.ws_url, *arguments).splitlines()]


@contextmanager
def reading(url: str, *arguments: str) -> Iterator[TextIO]:
    """The lines of a tail beside the test, as they come; at the end of the `with` statement it must end by itself."""
    read, write = (os.fdopen(end, mode, buffering=1) for end, mode in zip(os.pipe(), "rw", strict=True))
    tail = threading.Thread(target=called, args=(url, *arguments), kwargs={"stdout": write}, daemon=True)
    with read, write:
        tail.start()
        yield read
        tail.join(ENDS_SECONDS)
        assert not tail.is_alive()


def started(url: str, *arguments: str) -> Process:
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "geostream.settings"}
    return Process(*MANAGE, "tail", "--url", url, *arguments, env=environment, stdout=PIPE, stderr=PIPE)


@pytest.fixture
def towns(usual: ServerProcess) -> Iterator[ServerProcess]:
    """A server whose layer `towns` has two."""
    usual.publish("towns", feature("bern", 7.4, 46.9, people=134_000), feature("chur", 9.5, 46.8, people=38_000))
    yield usual
    usual.request("DELETE", "/api/layers/towns/")


def test_it_shows_what_is_there_and_what_changes(towns: ServerProcess) -> None:
    with reading(towns.ws_url, "--layer", "towns", "--count", "4") as lines:
        first = sorted(lines.readline()[9:].strip() for _ in range(2))
        assert first == ["+ towns/bern 7.4,46.9 people=134000", "+ towns/chur 9.5,46.8 people=38000"]
        towns.publish("towns", feature("bern", 7.4, 46.9, people=135_000))
        assert lines.readline()[9:].strip() == "~ towns/bern 7.4,46.9 people=134000→135000"
        towns.request("DELETE", "/api/layers/towns/features/chur")
        assert lines.readline()[9:].strip() == "- towns/chur (deleted)"


def test_conditions_choose(towns: ServerProcess) -> None:
    (line,) = lines_of(towns, "--layer", "towns", "--format", "jsonl", "--count", "1", "--bbox", "9,46,10,47", "--properties", "name")
    assert (line["type"], line["layer"], line["id"]) == ("added", "towns", "chur")
    assert line["feature"]["properties"] == {}


def test_the_features_in_a_circle_can_be_chosen(towns: ServerProcess) -> None:
    around = ("--layer", "towns", "--format", "jsonl", "--center", "9.5,46.9")
    (line,) = lines_of(towns, *around, "--radius-m", "11200", "--count", "1")
    assert line["id"] == "chur"
    with pytest.raises(CommandError, match="radius_m are given together"):
        called(towns.ws_url, *around)
    with pytest.raises(CommandError, match="above 0"):
        called(towns.ws_url, *around, "--radius-m", "0")


def test_geojson_is_the_features_alone(towns: ServerProcess) -> None:
    (line,) = lines_of(towns, "--layer", "towns", "--format", "geojson", "--count", "1", "--filter", "people > 100000")
    assert line == feature("bern", 7.4, 46.9, people=134_000)


def test_events_come_beside_changes_and_without_a_snapshot_nothing_precedes_them(towns: ServerProcess) -> None:
    with reading(towns.ws_url, "--layer", "towns", "--no-snapshot", "--events", "custom", "--format", "jsonl", "--count", "1") as lines:
        while not select.select([lines], [], [], 0.05)[0]:  # nothing tells when it has subscribed but that it hears
            towns.post("/api/events", {"event_type": "custom", "payload": {"message": "hello"}})
        assert json.loads(lines.readline())["payload"] == {"message": "hello"}


def test_ctrl_c_ends_it_well(towns: ServerProcess) -> None:
    with started(towns.ws_url, "--layer", "towns") as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate()
    assert (process.returncode, errors) == (0, "")


def test_a_reader_that_goes_away_ends_it_well(towns: ServerProcess) -> None:
    with started(towns.ws_url, "--layer", "towns") as process:
        assert process.stdout is not None and process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        towns.publish("towns", feature("bern"), feature("thun"))
        towns.publish("towns", feature("bern", 8), feature("thun", 9))
        assert process.wait() == 0
        assert process.stderr.read() == ""


def test_an_unknown_layer_is_told(usual: ServerProcess) -> None:
    with pytest.raises(CommandError, match="unknown_layer"):
        called(usual.ws_url, "--layer", "nowhere")


def test_no_server_is_told() -> None:
    with pytest.raises(CommandError, match="No GeoStream server at"):
        called(f"ws://127.0.0.1:{free_port()}/ws", "--layer", "towns")


def test_a_terminal_is_not_obeyed_by_values() -> None:
    line = HumanLines(no_style()).change(FeatureChange("added", "towns", "bern", feature("bern", name="\x1b[2J" + "x" * 100)))
    assert "\x1b" not in line
    assert line.endswith("…")
