"""`manage.py demo`, which `make run` calls: a server with live layers, from recordings that come with GeoStream.

Everything runs in this one process, except for Redis, if the demo has to start one, and the commands that parts run beside the server.
They end with the demo, however that ends.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

import uvicorn
from django.core.management.base import BaseCommand, CommandError, CommandParser

import streaming
from streaming.core.errors import StreamError
from streaming.engine.conf import conf, largest_message
from streaming.engine.registry import DemoPart, all_demo_parts
from streaming.features.feature_file import FeatureFile
from streaming.features.ingest import ingest
from streaming.features.layers import LayerSettings, layer_feed
from streaming.files.service import files_root
from streaming.management.arguments import at_least_one, positive, set_up_layer
from streaming.management.beside import Beside
from streaming.management.demo_flights import replay_flights
from streaming.management.demo_imagery import StripPainter
from streaming.management.listening_socket import listening_socket
from streaming.management.prerequisites import check_application, check_migrations, prepare_redis
from streaming.models import Tileset
from streaming.tiles.imagery import clear_imagery_sync
from streaming.tiles.tilesets import TilesetSettings, tileset_settings

DATA = Path(streaming.__file__).parent / "demo"
FLIGHTS = DATA / "flights-switzerland.geojsonl.gz"
EARTHQUAKES = DATA / "earthquakes-2018-02.geojson.gz"
FLIGHTS_LAYER = {
    "title": "Flights over Switzerland",
    "time_property": "datetime",
    "ttl_seconds": 120.0,
    "order": 1,
    "style": {
        "version": 1,
        "color": {"property": "altitude_ft", "type": "interpolate", "palette": "spectrum", "domain": [0, 40_000]},
        "icon": "aircraft",
        "rotate": {"property": "track_deg"},
        "label": {"property": "callsign"},
    },
}
EARTHQUAKES_LAYER = {
    "title": "Earthquakes, one week",
    "time_property": "time",
    "order": 2,
    "style": {
        "version": 1,
        "color": {"property": "mag", "type": "interpolate", "palette": "sunset", "domain": [0, 7], "title": "Magnitude"},
        "size": {"property": "mag", "type": "interpolate", "stops": [[0, 3], [2, 8], [4, 18], [7, 38]]},
    },
}
RELIEF = {
    "title": "Relief, with new imagery",
    "kind": "raster",
    "source": str(DATA / "relief.tif"),
    "max_zoom": 7,  # as much as the imagery needs
    "attribution": "imagery: NASA LANCE-MODIS",
}
HURRICANE = DATA / "hurricane-miriam-2012.tif"
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
        parser.add_argument("--alone", action="store_true", help="run no worker of processes beside the server")

    def handle(self, *args: Any, **options: Any) -> None:
        from streaming.server.uvicorn_server import Server, server_config  # late, because of the packages that it imports

        with listening_socket(options["host"], options["port"], "make run PORT=8001, or demo --port 8001") as listener:
            check_application()
            check_migrations()
            prepare_redis()
            os.environ.setdefault("GEOSTREAM_DEFAULT_TILESET", "relief")  # for clients that name no tileset
            os.environ.setdefault("GEOSTREAM_TOPICS", "streaming.management.demo_lobby")
            parts = [] if options["alone"] else all_demo_parts()
            for part in parts:
                for name, value in part.environment.items():
                    os.environ.setdefault(name, value)
            conf.forget()  # the system checks have read all settings
            flights, relief = _prepare_layers(), _prepare_relief()
            config = server_config(
                host=options["host"],
                port=options["port"],
                max_message_bytes=largest_message(),
                log_level="warning",
            )
            address = _address(options["host"], listener.getsockname()[1])
            commands = Beside([command for part in parts for command in part.commands], address, self.stderr)
            with _flights(flights, options), _imagery(relief, options), commands:
                server = Server(config, lambda: self._welcome(address, parts))
                _serve(server, listener, commands.terminate)
        self.stdout.write("The demo has ended.")

    def _welcome(self, address: str, parts: Sequence[DemoPart]) -> None:
        site = f"http://{address}"
        tail = "manage.py tail --layer flights" + ("" if address.endswith(":8000") else f" --url ws://{address}/ws")
        rows = (
            ("Live map", f"{site}/"),
            ("Imagery", f"{site}/#map=5/22/-113&tiles=relief  (a hurricane arrives, strip by strip)"),
            ("Examples", f"{site}/examples/  (the flights on maps of other libraries)"),
            ("Topics", f"{site}/channels/test/?name=alice&topic=room:lobby  (and name=bob in another window)"),
            ("Admin", f"{site}/admin/  (make yourself an account: {_python()} manage.py createsuperuser)"),
            ("Files", f"{site}/files/  (the folder {files_root()}; geodata in it becomes a layer or a tileset)"),
            ("API", f"{site}/api/docs/"),
            *((title, f"{site}{path}") for part in parts for title, path in part.pages.items()),
            ("Terminal", f"{_python()} {tail}"),
        )
        self.stdout.write(self.style.SUCCESS("\nGeoStream is running. Ctrl-C ends it.\n"))
        self.stdout.write("".join(f"  {name:<10} {text}\n" for name, text in rows))
        self.stdout.flush()


def _address(host: str, port: int) -> str:
    """Host and port, as they can be reached from here."""
    shown = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)
    return f"{shown}:{port}"


def _prepare_layers() -> LayerSettings:
    """Both layers. The flights are deleted, because those of an earlier demo would not move."""
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
    """The tileset of the relief, without imagery. If it exists already, its settings stay as they are."""
    row, _ = Tileset.objects.get_or_create(name="relief", defaults=RELIEF)
    relief = tileset_settings(row)
    try:
        clear_imagery_sync(relief)
    except StreamError as error:
        raise CommandError(error.message) from error
    return relief


def _flights(layer: LayerSettings, options: dict[str, Any]) -> AbstractContextManager[None]:
    """The replay of the flights, while the context lasts."""
    if not options["replay"]:
        return nullcontext()
    return _in_thread("demo-replay", partial(replay_flights, layer, FLIGHTS, options["speed"], options["multiply"]))


def _imagery(relief: TilesetSettings, options: dict[str, Any]) -> AbstractContextManager[None]:
    """The painting of the imagery, while the context lasts."""
    if not options["imagery"]:
        return nullcontext()
    return _in_thread("demo-imagery", StripPainter(relief, HURRICANE, "Hurricane Miriam").run)


@contextmanager
def _in_thread(name: str, work: Callable[[threading.Event], None]) -> Iterator[None]:
    """Run work in a daemon thread until the context ends."""
    stop = threading.Event()
    thread = threading.Thread(target=work, args=(stop,), name=name, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(JOIN_SECONDS)


def _serve(server: uvicorn.Server, listener: socket.socket, at_exit: Callable[[], None]) -> None:
    """Serve until Ctrl-C or SIGTERM, and call `at_exit` first then, while clients can still say goodbye.

    uvicorn raises the signal again after it has ended; that must not end the process.
    """
    exit_server = server.handle_exit

    def handle_exit(sig: int, frame: FrameType | None) -> None:
        at_exit()
        exit_server(sig, frame)

    def on_sigterm(*_: object) -> None:
        raise KeyboardInterrupt

    server.handle_exit = handle_exit  # type: ignore[method-assign]
    before = signal.signal(signal.SIGTERM, on_sigterm)
    try:
        server.run(sockets=[listener])
    except KeyboardInterrupt:
        return
    finally:
        signal.signal(signal.SIGTERM, before)


def _python() -> str:
    """The path of this Python, relative if that is possible."""
    path = Path(sys.executable)
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)
