"""`manage.py replay`: publishes a recording at the speed at which it happened, or at another one."""

from __future__ import annotations

import signal
import sys
import threading
import time
from argparse import ArgumentTypeError
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import repeat
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from tqdm import tqdm

from streaming.core.datetimes import parse_interval
from streaming.core.errors import StreamError
from streaming.core.feed import Feed
from streaming.features.geojson import FeatureRules
from streaming.features.layer_creation import NewLayer
from streaming.features.recordings import Recording
from streaming.features.replay import Replay, ReplayObserver, ReplayOptions
from streaming.management.arguments import add_layer_arguments, at_least_one, positive, rules_from_options, store_from_options
from streaming.management.prerequisites import check_migrations, prepare_redis


def instant(text: str) -> int:
    """The type of an argument that is a time; in microseconds."""
    try:
        return int(parse_interval(text)[0])
    except (StreamError, OverflowError) as error:
        raise ArgumentTypeError(str(error)) from error


class Command(BaseCommand):
    help = "Replay time-stamped features (GeoJSON lines or documents, gzipped or not) into a layer, or what tail --record wrote."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", help="the recording, or - for standard input")
        add_layer_arguments(parser, recorded=True)
        parser.add_argument("--speed", type=positive, default=1.0, metavar="X", help="times as fast as it happened (default: 1)")
        parser.add_argument("--loop", action="store_true", help="begin again at the end")
        parser.add_argument("--time-property", metavar="NAME", help="default: the layer's, else datetime, time, timestamp or date")
        parser.add_argument("--start", type=instant, metavar="TIME", help="leave out what is before this time (RFC 3339)")
        parser.add_argument("--until", type=instant, metavar="TIME", help="leave out what is after this time")
        parser.add_argument(
            "--max-gap", type=positive, default=10.0, metavar="SECONDS", help="longest pause, in real seconds (default: 10)"
        )
        parser.add_argument(
            "--drop-after", type=positive, metavar="SECONDS", help="delete features after this much silence, in recorded seconds"
        )
        parser.add_argument("--clear-at-end", action="store_true", help="delete what was published when the replay ends")
        parser.add_argument("--now", action="store_true", help="rewrite the time property, so that it appears to happen now")
        parser.add_argument(
            "--multiply", type=at_least_one, default=1, metavar="N", help="N features for each: the others beside it, with new ids"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if options["file"] == "-" and options["loop"]:
            raise CommandError("Standard input can be read only once: --loop needs a file.")
        check_migrations()
        prepare_redis()
        stores = _Stores(options)
        rules = rules_from_options(options)
        recording = _recording(options, options["time_property"] or rules.time_property, rules)
        replay_options = ReplayOptions(options["speed"], options["max_gap"], options["drop_after"])
        now_property = (lambda: recording.time_property) if options["now"] else None
        name = options["layer"] or "replay"
        with _Status(name) as status, stop_on_signals() as stop:
            replay = Replay(stores, replay_options, status, now_property)
            self._play(replay, repeat(recording, sys.maxsize if options["loop"] else 1), stop, options["clear_at_end"])
        self._report(replay, recording, name)

    def _play(self, replay: Replay, rounds: Iterator[Recording], stop: threading.Event, clear: bool) -> None:
        try:
            replay.run(rounds, stop)
        except StreamError as error:
            raise CommandError(error.message) from error
        except OSError as error:
            raise CommandError(f"{error.filename}: {error.strerror}") from error
        finally:
            if clear:
                replay.clear()

    def _report(self, replay: Replay, recording: Recording, layer: str) -> None:
        refused = recording.refused.refused + replay.refused
        self.stdout.write(
            f"{layer}: {replay.published:,} published, {refused:,} refused; {replay.present:,} features in the layer are from here."
        )
        for error in recording.refused.errors[:5]:
            self.stderr.write(f"  feature {error['index'] + 1:,}: {error['message']}")


class _Status(ReplayObserver):
    """A status line with the recorded time, the rate and how late the replay is; on a terminal only."""

    def __init__(self, layer: str) -> None:
        self._layer = layer
        self._bar = tqdm(bar_format="{desc}", disable=not sys.stderr.isatty(), leave=False)
        self._shown, self._published = time.monotonic(), 0

    def __enter__(self) -> _Status:
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.close()

    def published(self, replay: Replay) -> None:
        now = time.monotonic()
        if now - self._shown < 0.5 or replay.time is None:
            return
        rate = (replay.published - self._published) / (now - self._shown)
        self._shown, self._published = now, replay.published
        moment = datetime.fromtimestamp(replay.time / 1e6, UTC)
        late = f", {replay.late:.1f} s late" if replay.late > 1 else ""
        self._bar.set_description_str(f"{self._layer} {moment:%Y-%m-%d %H:%M:%S}Z, {replay.present:,} present, {rate:,.0f}/s{late}")


class _Stores:
    """Where the features go: to `--layer` or, without it, to the layers of the recorded changes."""

    def __init__(self, options: dict[str, Any]) -> None:
        self._options = options
        self._opened: dict[str | None, Feed | NewLayer] = {}
        if options["layer"] is not None:
            self._opened[None] = store_from_options(options, options["time_property"])

    def __call__(self, layer: str | None) -> Feed | NewLayer:
        name = None if self._options["layer"] is not None else layer
        if name not in self._opened:
            if name is None:
                raise StreamError("bad_request", "features do not say which layer they are of: name it with --layer")
            self._opened[name] = store_from_options(self._options, layer=name)
        return self._opened[name]


def _recording(options: dict[str, Any], time_property: str | None, rules: FeatureRules) -> Recording:
    recording = Recording(
        options["file"], time_property, options["id_property"], multiply=options["multiply"], crs=options["crs"], rules=rules
    )
    if options["start"] is not None:
        recording.start = options["start"]
    if options["until"] is not None:
        recording.until = options["until"]
    return recording


@contextmanager
def stop_on_signals() -> Iterator[threading.Event]:
    """A context with an event that Ctrl-C and SIGTERM set; the second signal ends the process as usual."""
    stop = threading.Event()
    signals = (signal.SIGINT, signal.SIGTERM)

    def on_signal(number: int, _frame: object) -> None:
        stop.set()
        signal.signal(number, before[signal.Signals(number)])

    before = {number: signal.signal(number, on_signal) for number in signals}
    try:
        yield stop
    finally:
        for number in signals:
            signal.signal(number, before[number])
