"""What `tail --record` writes, `replay` plays: the same states, in the same layers, with the same pauses."""

from __future__ import annotations

import gzip
import io
import json
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from streaming.core.feed import Feed, parse_entries
from streaming.core.redis import sync_redis
from streaming.features.recorded_changes import write_change
from streaming.models import Layer
from tests.server_process import ServerProcess

from .conftest import feature, held

START = datetime(2026, 5, 1, 12, tzinfo=UTC)


def line(seconds: float, change: str, layer: str, id: str | int, **properties: Any) -> bytes:
    return write_change(change, layer, id, feature(id, **properties), None, START + timedelta(seconds=seconds))


def log(layer: str) -> list[tuple[str, Any, int]]:
    """Sign, id and time of arrival (milliseconds) of each change of a layer."""
    entries: Any = sync_redis().xrange(Feed(f"layer:{layer}").log_key)
    signs = {(True, False): "+", (True, True): "~", (False, True): "-"}
    return [
        (signs[one.new is not None, one.old is not None], json.loads(one.key), int((one.new or b"0" * 13)[:13]))
        for one in parse_entries(entries)
    ]


def signs(layer: str) -> list[tuple[str, Any]]:
    return [(sign, id) for sign, id, _ in log(layer)]


@pytest.fixture
def recording(tmp_path: Path) -> Callable[..., str]:
    def write(*lines: bytes, name: str = "changes.jsonl") -> str:
        path = tmp_path / name
        path.write_bytes(gzip.compress(b"".join(lines)) if name.endswith(".gz") else b"".join(lines))
        return str(path)

    return write


def replay(path: str, *arguments: str) -> str:
    out = io.StringIO()
    call_command("replay", path, "--max-gap", "0.3", *arguments, stdout=out, stderr=out)
    return out.getvalue()


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("redis")
class TestReplay:
    @pytest.mark.parametrize("name", ["changes.jsonl", "changes.jsonl.gz"])
    def test_changes_of_several_layers_go_where_they_were(self, recording: Callable[..., str], name: str) -> None:
        path = recording(
            line(0, "added", "cars", "a", speed=1),
            line(0, "added", "ships", 7),
            line(0.1, "updated", "cars", "a", speed=2),
            line(0.2, "added", "cars", "b"),
            line(0.2, "deleted", "cars", "a"),
            line(0.3, "added", "cars", "a", speed=3),
            name=name,
        )
        assert "6 published, 0 refused; 3 features" in replay(path)
        assert signs("cars") == [("+", "a"), ("~", "a"), ("+", "b"), ("-", "a"), ("+", "a")]
        assert signs("ships") == [("+", 7)]
        assert held("cars")["a"] == feature("a", speed=3)
        assert set(Layer.objects.values_list("name", flat=True)) == {"cars", "ships"}

    def test_the_pauses_are_those_of_the_recording(self, recording: Callable[..., str]) -> None:
        replay(
            recording(*(line(second, "updated", "cars", "a", step=second) for second in (0, 10, 11))), "--speed", "25", "--max-gap", "10"
        )
        first, second, third = (arrived for _, _, arrived in log("cars"))
        assert second - first >= 300 and third >= second  # 400, less what the first one may come late

    def test_all_may_go_to_one_layer(self, recording: Callable[..., str]) -> None:
        replay(recording(line(0, "added", "cars", "a"), line(0, "added", "ships", "b")), "--layer", "all")
        assert set(held("all")) == {"a", "b"}
        assert list(Layer.objects.values_list("name", flat=True)) == ["all"]

    def test_copies_come_and_go_with_their_original(self, recording: Callable[..., str]) -> None:
        replay(
            recording(line(0, "added", "cars", "a"), line(0.1, "deleted", "cars", "a"), line(0.2, "added", "cars", "b")), "--multiply", "3"
        )
        assert set(held("cars")) == {"b", "b-1", "b-2"}

    def test_a_round_begins_with_what_was_there_at_first(self, recording: Callable[..., str]) -> None:
        replay(
            recording(line(0, "added", "cars", "a"), line(0.1, "deleted", "cars", "a"), line(0.2, "added", "ships", "b")), "--clear-at-end"
        )
        assert (held("cars"), held("ships")) == ({}, {})

    def test_features_that_are_no_changes_need_a_layer(self, recording: Callable[..., str]) -> None:
        with pytest.raises(CommandError, match="--layer"):
            replay(recording(json.dumps(feature("a", time=1)).encode() + b"\n"))

    def test_a_bad_line_is_refused_alone(self, recording: Callable[..., str]) -> None:
        good = line(0, "added", "cars", "a")
        answer = replay(recording(good.replace(b"2026", b"20x6"), good.replace(b"47.0", b"97.0"), good))
        assert "1 published, 2 refused" in answer
        assert not list(Layer.objects.exclude(name="cars"))

    def test_a_feature_may_have_a_property_of_that_name(self, recording: Callable[..., str]) -> None:
        replay(recording(json.dumps(feature("a", time=1, recorded="yes")).encode() + b"\n"), "--layer", "cars")
        assert held("cars")["a"]["properties"]["recorded"] == "yes"


def test_what_a_server_sent_is_recorded_and_played_again(usual: ServerProcess, redis: None, transactional_db: None, tmp_path: Path) -> None:
    """The round trip: record from one site, replay into another (this process's own)."""
    path = tmp_path / "changes.jsonl"
    usual.publish("rec-cars", feature("a", speed=1))
    usual.publish("rec-ships", feature(7))
    recorder = threading.Thread(
        target=call_command,
        args=("tail", "--url", usual.ws_url, "--record", str(path), "--count", "6"),
        kwargs={"stdout": io.StringIO(), "stderr": io.StringIO()},
        daemon=True,
    )
    recorder.start()
    deadline = time.monotonic() + 30
    while not path.exists() or path.read_bytes().count(b"\n") < 2:  # the snapshot
        assert time.monotonic() < deadline and recorder.is_alive()
        time.sleep(0.02)
    usual.publish("rec-cars", feature("b"))
    usual.publish("rec-cars", feature("a", speed=2))
    usual.request("DELETE", "/api/layers/rec-cars/features/b")
    usual.publish("rec-ships", feature(7, name="seven"))
    recorder.join(30)
    assert not recorder.is_alive()
    changes = [json.loads(each) for each in path.read_text().splitlines()]
    assert [change["recorded"] for change in changes] == sorted(change["recorded"] for change in changes)
    assert "6 published" in replay(str(path))
    assert signs("rec-cars") == [("+", "a"), ("+", "b"), ("~", "a"), ("-", "b")]
    assert (held("rec-cars"), held("rec-ships")) == ({"a": feature("a", speed=2)}, {7: feature(7, name="seven")})


@pytest.mark.parametrize("arguments", [("--events", "all"), ("--crs", "3857")])
def test_only_features_in_degrees_are_recorded(arguments: tuple[str, str], tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="--record takes"):
        call_command("tail", "--record", str(tmp_path / "file"), *arguments)


def test_a_file_that_cannot_be_written_is_one_line() -> None:
    with pytest.raises(CommandError, match="/nowhere/file: No such file"):
        call_command("tail", "--record", "/nowhere/file")
