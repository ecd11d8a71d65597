"""`manage.py layers`: lists layers, exports their features, empties and deletes them."""

from __future__ import annotations

import gzip
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import IO, Any, cast

from django.core.management.base import BaseCommand, CommandError, CommandParser
from tqdm import tqdm

from streaming.core.errors import StreamError
from streaming.features.clearing import clear
from streaming.features.layers import LayerSettings, catalogue, feature_counts, layer_feed
from streaming.features.server_events import server_events
from streaming.management.prerequisites import check_migrations, prepare_redis
from streaming.models import Layer

ACTIONS = ("list", "export", "clear", "delete")
LINES = (".geojsonl", ".geojsonlines", ".jsonl", ".ndjson")


class Command(BaseCommand):
    help = "List the layers, export the features of one as GeoJSON, or clear or delete layers."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("action", nargs="?", default="list", choices=ACTIONS, help="what to do (default: list)")
        parser.add_argument("layers", nargs="*", metavar="LAYER", help="names of layers; for list: only these")
        parser.add_argument("--output", default="-", metavar="FILE", help="where to export to, gzipped if it ends in .gz (default: -)")
        parser.add_argument(
            "--format", choices=("geojson", "geojsonl"), help="of an export: one document, or a Feature a line (default: as FILE ends)"
        )
        parser.add_argument("--yes", action="store_true", help="clear and delete without asking")

    def handle(self, *args: Any, **options: Any) -> None:
        check_migrations()
        prepare_redis()
        try:
            layers = [catalogue.get_sync(name) for name in options["layers"]]
            getattr(self, f"_{options['action']}")(layers, options)
        except StreamError as error:
            raise CommandError(error.message) from error
        except OSError as error:
            raise CommandError(f"{error.filename}: {error.strerror}") from error
        server_events.flush()

    def _list(self, layers: list[LayerSettings], options: dict[str, Any]) -> None:
        shown = layers or list(catalogue.all_sync().values())
        counts = feature_counts([layer.name for layer in shown])
        rows = [("LAYER", "FEATURES", "MAY READ", "EXPIRE AFTER", "TITLE")]
        for layer in shown:
            count, seconds = counts.get(layer.name), layer.options.ttl_seconds
            rows.append(
                (
                    layer.name,
                    "?" if count is None else f"{count:,}",
                    "everybody" if layer.public else layer.permission,
                    f"{seconds:g} s" if seconds else "never",
                    layer.title,
                )
            )
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        for row in rows:
            self.stdout.write("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())

    def _export(self, layers: list[LayerSettings], options: dict[str, Any]) -> None:
        if len(layers) != 1:
            raise CommandError("Name one layer to export.")
        path = options["output"]
        stored = layer_feed(layers[0]).read_sync().stored
        features = (stored[key][13:] for key in sorted(stored))
        lines = (options["format"] or ("geojsonl" if path.removesuffix(".gz").endswith(LINES) else "geojson")) == "geojsonl"
        with _output(path) as file:
            for piece in _progress(_lines(features) if lines else _document(features), len(stored), "export"):
                file.write(piece)
        if path != "-":
            self.stdout.write(f"{layers[0].name}: {len(stored):,} features exported to {path}")

    def _clear(self, layers: list[LayerSettings], options: dict[str, Any]) -> None:
        self._confirm("Remove all features of", layers, options)
        for layer in layers:
            feed = layer_feed(layer)
            removed = 0
            with tqdm(total=feed.count_sync(), disable=not sys.stderr.isatty(), leave=False, desc=f"clear {layer.name}") as bar:
                for some in clear(feed):
                    removed += some
                    bar.update(some)
            self.stdout.write(f"{layer.name}: {removed:,} features removed")

    def _delete(self, layers: list[LayerSettings], options: dict[str, Any]) -> None:
        self._confirm("Delete, with all features,", layers, options)
        for layer in layers:
            Layer.objects.get(name=layer.name).delete()
            self.stdout.write(f"{layer.name}: deleted")

    def _confirm(self, question: str, layers: list[LayerSettings], options: dict[str, Any]) -> None:
        if not layers:
            raise CommandError(f"Name the layers to {options['action']}.")
        if options["yes"]:
            return
        if not sys.stdin.isatty():
            raise CommandError(f"Say --yes to {options['action']} without being asked.")
        counts = feature_counts([layer.name for layer in layers])
        names = ", ".join(f"{layer.name} ({counts.get(layer.name, 0):,} features)" for layer in layers)
        if input(f"{question} {names}? [y/N] ").strip().lower() not in ("y", "yes"):
            raise CommandError("Nothing was changed.")


@contextmanager
def _output(path: str) -> Iterator[IO[bytes]]:
    if path == "-":
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
    else:
        with cast(IO[bytes], gzip.open(path, "wb") if path.endswith(".gz") else open(path, "wb")) as file:
            yield file


def _lines(features: Iterable[bytes]) -> Iterator[bytes]:
    return (feature + b"\n" for feature in features)


def _document(features: Iterable[bytes]) -> Iterator[bytes]:
    separator = b'{"type":"FeatureCollection","features":[\n'
    for feature in features:
        yield separator + feature
        separator = b",\n"
    yield b"\n]}\n" if separator == b",\n" else separator + b"]}\n"


def _progress(pieces: Iterator[bytes], total: int, what: str) -> Iterable[bytes]:
    """The pieces, with a progress bar on a terminal."""
    return cast(Iterable[bytes], tqdm(pieces, total=total, disable=not sys.stderr.isatty(), leave=False, desc=what))
