"""`manage.py tail`: prints what a subscriber of a running server receives."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser, OutputWrapper

from streaming.client import ClientError, ConnectionFailed, ConnectionState, Event, FeatureChange, GeoStreamClient
from streaming.client.merging import merged
from streaming.features.events import EVENT_TYPES
from streaming.management.arguments import at_least_one
from streaming.management.output_formats import FORMATS, HumanLines
from streaming.management.recorder import Recorder

CONDITIONS = ("bbox", "center", "radius_m", "filter", "datetime", "properties", "crs")
SERVER = "ws://127.0.0.1:8000/ws"


class Command(BaseCommand):
    help = "Print the changes of a layer, or events, as a subscriber of a running server gets them, until Ctrl-C."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--layer", metavar="NAME", help="the layer; without it and without --events, every readable layer")
        parser.add_argument("--events", type=_event_types, metavar="TYPES", help=f"events of these types, or all: {', '.join(EVENT_TYPES)}")
        parser.add_argument("--url", default=SERVER, help=f"the server (default: {SERVER})")
        parser.add_argument(
            "--token", default=os.environ.get("GEOSTREAM_TOKEN"), help="a JSON web token (default: GEOSTREAM_TOKEN of the environment)"
        )
        parser.add_argument(
            "--bbox", type=_numbers, metavar="W,S,E,N", help="features within this box; write --bbox=-10,… if it begins with a minus"
        )
        parser.add_argument("--center", type=_numbers, metavar="LON,LAT", help="features within --radius-m of this place, in degrees")
        parser.add_argument("--radius-m", type=float, metavar="METRES", help="how far they may be, along the surface of the Earth")
        parser.add_argument("--filter", metavar="CQL2", help='features for which this holds, e.g. "altitude_ft > 30000"')
        parser.add_argument("--datetime", metavar="INTERVAL", help="features of this time, e.g. 2018-08-01T05:00:00Z/..")
        parser.add_argument("--properties", type=_names, metavar="A,B", help="only these properties")
        parser.add_argument("--crs", metavar="CRS", help="coordinates in this CRS, e.g. 3857")
        parser.add_argument("--no-snapshot", dest="snapshot", action="store_false", help="leave out what is there already")
        parser.add_argument(
            "--format", choices=sorted(FORMATS), default="human", help="human, jsonl (one object a change), geojson (features alone)"
        )
        parser.add_argument(
            "--record", metavar="FILE", help="write the changes to a file for `replay` instead of printing them (- for standard output)"
        )
        parser.add_argument("--count", type=at_least_one, metavar="N", help="end after N lines")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["record"] and (options["events"] or options["crs"]):
            raise CommandError("--record takes changes of features in degrees: leave out --events and --crs.")
        try:
            with _recorder(options["record"]) as recorder:
                asyncio.run(self._tail(options, recorder))
        except KeyboardInterrupt:
            return
        except BrokenPipeError:  # `tail | head`: the rest of the buffer must not fail at exit
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        except ConnectionFailed as error:
            raise CommandError(
                f"No GeoStream server at {options['url']}: {error}\nStart one with `make run` or `manage.py serve`."
            ) from error
        except ClientError as error:
            raise CommandError(str(error)) from error

    async def _tail(self, options: dict[str, Any], recorder: Recorder | None) -> None:
        lines = FORMATS[options["format"]](self.style)
        remaining = options["count"] or sys.maxsize
        async with GeoStreamClient(options["url"], token=options["token"]) as client:
            if isinstance(lines, HumanLines):
                client.on_state(self._report_state)
            async for received in merged(await _subscriptions(client, options)):
                if recorder is not None and isinstance(received, FeatureChange):
                    recorder.write(received)
                else:
                    _write(self.stdout, lines.event(received) if isinstance(received, Event) else lines.change(received))
                remaining -= 1
                if not remaining:
                    return

    def _report_state(self, state: ConnectionState, error: BaseException | None) -> None:
        if state is ConnectionState.RECONNECTING:
            self.stderr.write(f"The connection broke ({error}); trying again.", self.style.WARNING)


def _recorder(path: str | None) -> AbstractContextManager[Recorder | None]:
    try:
        return nullcontext() if path is None else Recorder(path)
    except OSError as error:
        raise CommandError(f"{path}: {error.strerror}") from error


async def _subscriptions(client: GeoStreamClient, options: dict[str, Any]) -> list[AsyncIterator[FeatureChange | Event]]:
    subscriptions: list[Any] = []
    if options["events"]:
        subscriptions.append(await client.subscribe_events(options["events"]))
    if options["layer"] or not options["events"]:
        conditions: Any = {name: options[name] for name in CONDITIONS if options[name] is not None}
        subscriptions.append(await client.subscribe_features(options["layer"], snapshot=options["snapshot"], **conditions))
    return subscriptions


def _write(stdout: OutputWrapper, line: str) -> None:
    stdout.write(line)
    stdout.flush()


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def _event_types(text: str) -> list[str]:
    return list(EVENT_TYPES) if text == "all" else _names(text)


def _numbers(text: str) -> tuple[float, ...]:
    return tuple(float(number) for number in text.split(","))
