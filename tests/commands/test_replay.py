"""Replaying, as a library and as `manage.py replay`."""

from __future__ import annotations

import io
import json
import shutil
import signal
import threading
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import redis
from django.core.management import CommandError, call_command

from streaming.core.errors import StreamError
from streaming.core.feed import Feed, parse_entries
from streaming.core.redis import sync_redis
from streaming.features import replay as replay_module
from streaming.features.geojson import FeatureRules
from streaming.features.recordings import Recording
from streaming.features.replay import Replay, ReplayObserver, ReplayOptions
from streaming.features.source_crs import SourceCrs
from streaming.models import Layer
from streaming.server.embedded_redis import RedisService
from tests.processes import MANAGE, PIPE, Process, site_environment

from .conftest import feature, held

FEED = Feed("layer:cars")
START = 1_533_124_800  # 2018-08-01T12:00:00Z


def car(id: str, second: float, lon: float = 7.0) -> dict[str, Any]:
    return feature(id, lon, time=START + second)


def steps() -> list[tuple[str, str]]:
    """What the log says: (sign, id)."""
    entries: Any = sync_redis().xrange(FEED.log_key)
    signs = {(True, False): "+", (True, True): "~", (False, True): "-"}
    return [(signs[one.new is not None, one.old is not None], json.loads(one.key)) for one in parse_entries(entries)]


def play(*recordings: Recording, speed: float = 1000.0, max_gap: float = 0.1, drop_after: float | None = None) -> Replay:
    replay = Replay(FEED, ReplayOptions(speed, max_gap, drop_after))
    replay.run(recordings, threading.Event())
    return replay


@pytest.mark.usefixtures("redis")
class TestReplay:
    def test_features_are_published_in_the_order_of_their_times(self, lines_file: Callable[..., str]) -> None:
        replay = play(Recording(lines_file(car("b", 2), car("a", 1), car("a", 3, lon=8))))
        assert steps() == [("+", "a"), ("+", "b"), ("~", "a")]
        assert (replay.published, replay.present, replay.time) == (3, 2, (START + 3) * 10**6)

    def test_coordinates_may_be_of_another_crs_and_go_on_around_the_world(self, lines_file: Callable[..., str]) -> None:
        play(
            Recording(
                lines_file({**car("a", 1), "geometry": {"type": "Point", "coordinates": [111319.490793, 0]}}), crs=SourceCrs.of("3857")
            )
        )
        assert held("cars")["a"]["geometry"]["coordinates"] == pytest.approx([1, 0], abs=1e-8)
        play(Recording(lines_file(car("a", 1, lon=181)), rules=FeatureRules(wrap_longitude=True)))
        assert held("cars")["a"]["geometry"]["coordinates"] == [-179, 47]

    def test_the_crs_may_stand_behind_the_features(self, tmp_path: Path) -> None:
        one = {**car("a", 1), "geometry": {"type": "Point", "coordinates": [111319.490793, 0]}}
        path = tmp_path / "ogr.geojson"
        crs = {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::3857"}}
        path.write_text(json.dumps({"type": "FeatureCollection", "features": [one], "crs": crs}))
        play(Recording(str(path)))
        assert held("cars")["a"]["geometry"]["coordinates"] == pytest.approx([1, 0], abs=1e-8)

    def test_time_passes_as_fast_as_asked(self, lines_file: Callable[..., str]) -> None:
        began = time.monotonic()
        play(Recording(lines_file(car("a", 0), car("b", 3))), speed=10, max_gap=10)
        assert 0.3 <= time.monotonic() - began < 3

    def test_a_long_pause_is_cut_short(self, lines_file: Callable[..., str]) -> None:
        began = time.monotonic()
        play(Recording(lines_file(car("a", 0), car("b", 86400), car("c", 2 * 86400))), speed=1)
        assert 0.2 <= time.monotonic() - began < 5

    def test_a_feature_that_fell_silent_is_deleted(self, lines_file: Callable[..., str]) -> None:
        play(Recording(lines_file(car("a", 0), car("b", 0), car("b", 50), car("b", 100, lon=8))), drop_after=60)
        assert set(held("cars")) == {"b"}
        assert ("-", "a") in steps()

    def test_without_a_limit_on_silence_a_round_begins_empty(self, lines_file: Callable[..., str]) -> None:
        play(Recording(lines_file(car("a", 0), name="one")), Recording(lines_file(car("b", 0), name="two")))
        assert steps() == [("+", "a"), ("-", "a"), ("+", "b")]

    def test_with_a_limit_on_silence_what_goes_on_in_the_next_round_stays(self, lines_file: Callable[..., str]) -> None:
        round = Recording(lines_file(car("a", 0), car("b", 50), car("a", 51, lon=8)))
        play(round, round, drop_after=60)
        assert steps() == [("+", "a"), ("+", "b"), ("~", "a"), ("~", "a"), ("~", "a")]

    def test_with_a_limit_on_silence_what_is_not_in_the_next_round_goes(self, lines_file: Callable[..., str]) -> None:
        rounds = [lines_file(car("a", 0), name="one"), lines_file(car("b", 0), car("b", 50), car("b", 100, lon=8), name="two")]
        play(*map(Recording, rounds), drop_after=60)
        assert sorted(steps()) == [("+", "a"), ("+", "b"), ("-", "a"), ("~", "b"), ("~", "b")]

    def test_stopping_leaves_the_features(self, lines_file: Callable[..., str]) -> None:
        stop = threading.Event()

        class StopAtOnce(ReplayObserver):
            def published(self, replay: Replay) -> None:
                stop.set()

        replay = Replay(FEED, ReplayOptions(), StopAtOnce())
        replay.run([Recording(lines_file(car("a", 0), car("b", 3600)))], stop)
        assert set(held("cars")) == {"a"}
        replay.clear()
        assert held("cars") == {}

    def test_an_observer_learns_what_appears_and_what_leaves(self, lines_file: Callable[..., str]) -> None:
        seen: list[tuple[str, str]] = []

        class Recorder(ReplayObserver):
            def appeared(self, features: Any) -> None:
                seen.extend(("appeared", one.key) for one in features)

            def left(self, features: Any) -> None:
                seen.extend(("left", one.key) for one in features)

        recording = Recording(lines_file(car("a", 0), car("b", 100)))
        Replay(FEED, ReplayOptions(1000, 0.1, 60), Recorder()).run([recording], threading.Event())
        assert seen == [("appeared", '"a"'), ("left", '"a"'), ("appeared", '"b"')]

    def test_a_redis_that_refuses_for_a_while_makes_it_late(self, lines_file: Callable[..., str], monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(replay_module, "RETRY_SECONDS", 0.05)
        sync_redis().config_set("maxmemory", 1)
        repair = threading.Timer(0.3, lambda: sync_redis().config_set("maxmemory", 0))
        repair.start()
        replay = play(Recording(lines_file(car("a", 0), car("b", 1))))
        repair.join()
        assert set(held("cars")) == {"a", "b"}
        assert replay.late > 0.1

    def test_a_recording_without_times_is_told(self, lines_file: Callable[..., str]) -> None:
        with pytest.raises(StreamError, match="no feature with a time"):
            play(Recording(lines_file(feature("a"))))


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("redis")
class TestCommand:
    def replay(self, *arguments: str) -> str:
        out = io.StringIO()
        call_command("replay", *arguments, "--layer", "cars", "--speed", "1000", stdout=out, stderr=out)
        return out.getvalue()

    def test_it_replays_a_file(self, lines_file: Callable[..., str]) -> None:
        assert "2 published, 1 refused; 2 features" in self.replay(lines_file(car("b", 2), car("a", 1), feature("c")))
        assert set(held("cars")) == {"a", "b"}

    def test_start_and_until_choose_a_part(self, lines_file: Callable[..., str]) -> None:
        path = lines_file(car("a", 0), car("b", 60), car("c", 120))
        self.replay(path, "--start", "2018-08-01T12:00:30Z", "--until", "2018-08-01T12:01:30Z")
        assert set(held("cars")) == {"b"}

    def test_the_layers_time_property_is_used(self, lines_file: Callable[..., str]) -> None:
        Layer.objects.create(name="cars", time_property="seen")
        self.replay(lines_file(feature("b", time=1, seen=9), feature("a", time=2, seen=5)))
        assert steps() == [("+", "a"), ("+", "b")]

    def test_now_makes_it_happen_now(self, lines_file: Callable[..., str]) -> None:
        self.replay(lines_file(feature("a", datetime="2018-08-01T12:00:00Z")), "--now")
        seen = datetime.fromisoformat(held("cars")["a"]["properties"]["datetime"])
        assert abs(seen.timestamp() - time.time()) < 10

    def test_clear_at_end_takes_everything_away(self, lines_file: Callable[..., str]) -> None:
        self.replay(lines_file(car("a", 0)), "--clear-at-end")
        assert held("cars") == {}

    def test_multiply_makes_many(self, lines_file: Callable[..., str]) -> None:
        assert "20 published" in self.replay(lines_file(car("a", 0), car("b", 0)), "--multiply", "10")

    def test_standard_input_cannot_be_looped(self) -> None:
        with pytest.raises(CommandError, match="--loop needs a file"):
            self.replay("-", "--loop")

    @pytest.mark.parametrize("arguments", [("--speed", "0"), ("--multiply", "0"), ("--start", "noon")])
    def test_arguments_without_sense_are_refused(self, arguments: tuple[str, str]) -> None:
        with pytest.raises(CommandError):
            self.replay("file", *arguments)


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM])
def test_a_looping_replay_ends_cleanly(
    sign: signal.Signals, lines_file: Callable[..., str], migrated_database: Path, tmp_path: Path, own_redis: RedisService
) -> None:
    shutil.copy(migrated_database, tmp_path / "geostream.sqlite3")
    path = lines_file(*(car("a", second, lon=second) for second in range(100)))
    command = (*MANAGE, "replay", path, "--layer", "cars", "--speed", "100", "--loop")
    with (
        Process(*command, env=site_environment(tmp_path, own_redis.url), stdout=PIPE) as process,
        redis.Redis.from_url(own_redis.url) as client,
    ):
        deadline = time.monotonic() + 30
        while client.hlen(FEED.keys[0]) == 0:
            assert time.monotonic() < deadline and process.poll() is None
            time.sleep(0.02)
        process.send_signal(sign)
        output, _ = process.communicate(timeout=10)
        assert process.returncode == 0
        assert "1 features in the layer" in output
        assert client.hlen(FEED.keys[0]) == 1
