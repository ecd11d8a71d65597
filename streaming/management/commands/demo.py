"""`manage.py demo`: what `make run` calls. A server with live layers, from recordings that come with GeoStream.

Everything runs in this one process, but Redis, which it starts if there is none and which ends with it; so however the demo
ends, all of it ends.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import repeat
from pathlib import Path
from typing import Any

import msgspec
import uvicorn
from django.core.management.base import BaseCommand, CommandError, CommandParser

import streaming
from streaming.core.errors import StreamError
from streaming.engine.conf import conf
from streaming.features.events import publish_event
from streaming.features.feature_file import FeatureFile
from streaming.features.ingest import ingest
from streaming.features.layers import LayerSettings, layer_feed
from streaming.features.recordings import Recording, TimedFeature
from streaming.features.replay import Replay, ReplayObserver, ReplayOptions
from streaming.management.arguments import at_least_one, positive, set_up_layer
from streaming.management.commands.serve import check_application, check_migrations, prepare_redis
from streaming.management.demo_imagery import Acquisition
from streaming.models import Tileset
from streaming.tiles.imagery import clear_imagery_sync
from streaming.tiles.tilesets import TilesetSettings, tileset_settings

logger = logging.getLogger(__name__)

DATA = Path(streaming.__file__).parent / "demo"
FLIGHTS = DATA / "flights-switzerland.geojsonl.gz"
EARTHQUAKES = DATA / "earthquakes-2018-02.geojson.gz"
FLIGHTS_LAYER = {"title": "Flights over Switzerland", "time_property": "datetime", "ttl_seconds": 120.0}
EARTHQUAKES_LAYER = {"title": "Earthquakes, one week", "time_property": "time"}
RELIEF = {
    "title": "Relief, with new imagery",
    "kind": "raster",
    "source": str(DATA / "relief.tif"),
    "max_zoom": 7,  # as much as the imagery needs
    "attribution": "imagery: NASA LANCE-MODIS",
}
HURRICANE = DATA / "hurricane-miriam-2012.tif"
LANDED_AFTER = 120.0  # recorded seconds without a position
SECONDS_BETWEEN_EVENTS = 2.0
JOIN_SECONDS = 3.0


class Command(BaseCommand):
    help = (
        "Serve GeoStream with a demo: a recording of flights, replayed for ever, a week of earthquakes, "
        "and a relief over which the image of a hurricane arrives strip by strip."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: 127.0.0.1)")
        parser.add_argument("--port", type=int, default=8000, help="port to listen on (default: 8000)")
        parser.add_argument("--speed", type=positive, default=30.0, metavar="X", help="flights, times as fast as they flew (default: 30)")
        parser.add_argument(
            "--multiply", type=at_least_one, default=1, metavar="N", help="N aircraft for each, to see more of them (default: 1)"
        )
        parser.add_argument("--no-replay", dest="replay", action="store_false", help="leave the flights on the ground")
        parser.add_argument("--no-imagery", dest="imagery", action="store_false", help="leave the relief as it is")

    def handle(self, *args: Any, **options: Any) -> None:
        from streaming.server import uvicorn_server as server

        with claimed(options["host"], options["port"]) as listener:
            check_application()
            check_migrations()
            prepare_redis()
            os.environ.setdefault("GEOSTREAM_DEFAULT_TILESET", "relief")  # for clients that know nothing of names
            flights, relief = _prepare_layers(), _prepare_relief()
            config = server.config(
                host=options["host"],
                port=options["port"],
                workers=1,
                max_message_bytes=conf.MAX_MESSAGE_BYTES,
                log_level="warning",
            )
            with _flying(flights, options), _acquiring(relief, options):
                _serve(config, listener, lambda: self._welcome(options["host"], listener.getsockname()[1]))
        self.stdout.write("The demo has ended.")

    def _welcome(self, host: str, port: int) -> None:
        shown = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)
        site = f"http://{shown}:{port}"
        tail = "manage.py tail --layer flights" + ("" if port == 8000 else f" --url ws://{shown}:{port}/ws")
        rows = (
            ("Live map", f"{site}/"),
            ("Imagery", f"{site}/#map=5/22/-113  (a hurricane arrives, strip by strip)"),
            ("Topics", f"{site}/channels/test/?name=alice  (and ?name=bob in another window)"),
            ("Admin", f"{site}/admin/  (make yourself an account: {_python()} manage.py createsuperuser)"),
            ("API", f"{site}/api/docs/"),
            ("Terminal", f"{_python()} {tail}"),
        )
        self.stdout.write(self.style.SUCCESS("\nGeoStream is running. Ctrl-C ends it.\n"))
        self.stdout.write("".join(f"  {name:<9} {text}\n" for name, text in rows))
        self.stdout.flush()


class Narrator(ReplayObserver):
    """Makes an event of an aircraft that appears or leaves, at most one in two seconds."""

    def __init__(self) -> None:
        self._spoke = time.monotonic() - SECONDS_BETWEEN_EVENTS

    def appeared(self, features: Sequence[TimedFeature]) -> None:
        self._tell(features, "appeared")

    def left(self, features: Sequence[TimedFeature]) -> None:
        self._tell(features, "left")

    def _tell(self, features: Sequence[TimedFeature], change: str) -> None:
        if features and time.monotonic() - self._spoke >= SECONDS_BETWEEN_EVENTS:
            self._spoke = time.monotonic()
            with suppress(StreamError):  # Redis is away: the replay waits for it, and this event is not worth repeating
                publish_event("custom", flight_event(msgspec.json.decode(features[0].value), change))


def flight_event(feature: dict[str, Any], change: str) -> dict[str, Any]:
    """The payload of an aircraft's event; `change` is `appeared` or `left`."""
    properties = feature["properties"]
    callsign = properties.get("callsign") or str(feature["id"])
    altitude = properties.get("altitude_ft")
    at = "" if altitude is None else f" at {altitude:,.0f} ft"
    message = f"{callsign} {'has appeared' if change == 'appeared' else 'has left the area'}{at}"
    return {"kind": "flight", "change": change, "id": feature["id"], "callsign": callsign, "altitude_ft": altitude, "message": message}


@contextmanager
def claimed(host: str, port: int) -> Iterator[socket.socket]:
    """A socket that listens there already, so that nothing is started in vain. CommandError if the address cannot be had."""
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        listener = socket.create_server(address[:2], family=family, backlog=2048)
    except OSError as error:
        raise CommandError(
            f"Cannot listen on {host}:{port}: {_reason(error)}. Another port: make run PORT=8001, or demo --port 8001"
        ) from error
    with listener:
        yield listener


def _prepare_layers() -> LayerSettings:
    """Both layers, the earthquakes filled and the flights empty (what an earlier demo left there would only hang in the air)."""
    try:
        with FeatureFile(str(EARTHQUAKES)) as file:
            ingest(layer_feed(set_up_layer("earthquakes", {}, defaults=EARTHQUAKES_LAYER)), file.records())
        flights = set_up_layer("flights", {}, defaults=FLIGHTS_LAYER)
        feed = layer_feed(flights)
        feed.delete_sync(key.decode() for key in feed.read_sync().stored)
    except StreamError as error:
        raise CommandError(error.message) from error
    return flights


def _prepare_relief() -> TilesetSettings:
    """The relief as a tileset, with the settings an earlier demo gave it or somebody chose since, but without its imagery."""
    row, _ = Tileset.objects.get_or_create(name="relief", defaults=RELIEF)
    relief = tileset_settings(row)
    try:
        clear_imagery_sync(relief)
    except StreamError as error:
        raise CommandError(error.message) from error
    return relief


@contextmanager
def _acquiring(relief: TilesetSettings, options: dict[str, Any]) -> Iterator[None]:
    """The imagery, in a thread as the replay."""
    if not options["imagery"]:
        yield
        return
    with _in_thread("demo-imagery", Acquisition(relief, HURRICANE, "Hurricane Miriam").run):
        yield


@contextmanager
def _flying(flights: LayerSettings, options: dict[str, Any]) -> Iterator[None]:
    """The replay of the flights."""
    if not options["replay"]:
        yield
        return
    replay = Replay(layer_feed(flights), ReplayOptions(options["speed"], drop_after=LANDED_AFTER), Narrator())
    recording = Recording(str(FLIGHTS), flights.time_property or "datetime", multiply=options["multiply"])
    with _in_thread("demo-replay", lambda stop: _replay(replay, recording, stop)):
        yield


@contextmanager
def _in_thread(name: str, work: Callable[[threading.Event], None]) -> Iterator[None]:
    """Work in a thread that does not outlive the process, however that ends."""
    stop = threading.Event()
    thread = threading.Thread(target=work, args=(stop,), name=name, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(JOIN_SECONDS)


def _replay(replay: Replay, recording: Recording, stop: threading.Event) -> None:
    try:
        replay.run(repeat(recording), stop)
    except StreamError as error:
        if not stop.is_set():
            logger.error("the demo's replay has ended: %s", error.message)


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, on_ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_ready = on_ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._on_ready()


def _serve(config: uvicorn.Config, listener: socket.socket, on_ready: Callable[[], None]) -> None:
    """Serve until Ctrl-C or SIGTERM; uvicorn repeats the signal once it has ended, which here means nothing more than that."""

    def ended(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, ended)
    try:
        _Server(config, on_ready).run(sockets=[listener])
    except KeyboardInterrupt:
        return
    finally:
        signal.signal(signal.SIGTERM, before)


def _python() -> str:
    """How this Python is called, briefly."""
    path = Path(sys.executable)
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)


def _reason(error: OSError) -> str:
    """asyncio and socket add the address to what the system says; once is enough."""
    return str(error) if isinstance(error, socket.gaierror) else os.strerror(error.errno or 0)
