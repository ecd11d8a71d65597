"""`manage.py publish`: publishes a file of features, of any size, to a layer."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import closing, suppress
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from tqdm import tqdm

from streaming.core.errors import StreamError
from streaming.features.event_audience import Audience
from streaming.features.feature_file import FeatureFile, with_id_from
from streaming.features.ingest import IngestResult, ingest
from streaming.features.large_documents import RawFeature
from streaming.features.layers import catalogue
from streaming.features.progress import Progress
from streaming.features.server_events import layer_readers, report_limits, server_events
from streaming.management.arguments import add_layer_arguments, rules_from_options, store_from_options
from streaming.management.prerequisites import check_migrations, prepare_redis

SHOWN_REASONS = 5


class Command(BaseCommand):
    help = (
        "Publish a GeoJSON file (a document, lines or a text sequence, gzipped or not) to a layer. Exit code 1 if any feature was refused."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", help="the file, or - for standard input")
        add_layer_arguments(parser)
        parser.add_argument(
            "--fail-fast", action="store_true", help="stop after the first batch (about a thousand features) with a refused one"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        check_migrations()
        prepare_redis()
        try:
            file = FeatureFile(options["file"], options["crs"])
        except OSError as error:
            raise CommandError(f"{options['file']}: {error.strerror}") from error
        with file:
            self._publish(file, options)

    def _publish(self, file: FeatureFile, options: dict[str, Any]) -> None:
        store = store_from_options(options)
        rules = rules_from_options(options)
        batches = _with_ids(file.batches(), options["id_property"])
        total, began, failure, name = IngestResult(), time.monotonic(), "", options["layer"]
        events = Progress(f"publish:{name}", f"layer:{name}", file.size or 0, lambda: _readers(name))
        try:
            with closing(_Progress(file)) as progress:
                for batch in batches:
                    ingest(store, batch, total, rules)
                    progress.show(total.total)
                    events.at(file.position, f"{total.total:,} features")
                    if total.refused and options["fail_fast"]:
                        break
        except KeyboardInterrupt:
            failure = "Interrupted; what was published stays."
        except OSError as error:
            failure = f"{file.name}: {error.strerror}"
        except StreamError as error:
            failure = error.message
        events.done(f"{total.total:,} features")
        _readers(name)
        report_limits(name, total)
        server_events.flush()
        self._report(total, options, time.monotonic() - began, failure)

    def _report(self, total: IngestResult, options: dict[str, Any], seconds: float, failure: str) -> None:
        self.stdout.write(
            f"{options['layer']}: {total.added:,} added, {total.updated:,} updated, {total.unchanged:,} unchanged, "
            f"{total.refused:,} refused in {seconds:.1f} s ({total.total / max(seconds, 1e-9):,.0f} features/s)"
        )
        for error in (*total.errors[:SHOWN_REASONS], *total.warnings[:SHOWN_REASONS]):
            self.stderr.write(f"  feature {error['index'] + 1:,}: {error['message']}")
        if any("needs an id" in error["message"] for error in total.errors):
            self.stderr.write("  Features need ids, so that later versions replace them: --id-property NAME takes them from a property.")
        if failure or total.refused:
            raise CommandError(failure or f"{total.refused:,} of {total.total:,} features were refused.")


def _readers(layer: str) -> Audience:
    """Those who may read the layer, by the database."""
    with suppress(StreamError):
        catalogue.get_sync(layer)
    return layer_readers(layer)


class _Progress:
    """A progress bar of bytes, on a terminal only; a count if the file has no size."""

    def __init__(self, file: FeatureFile) -> None:
        self._file = file
        hidden = not sys.stderr.isatty()
        self._bar = tqdm(total=file.size, unit="B", unit_scale=True, disable=hidden, leave=False, desc="publish")
        self._began = time.monotonic()

    def show(self, features: int) -> None:
        rate = features / max(time.monotonic() - self._began, 1e-9)
        self._bar.set_postfix_str(f"{features:,} features, {rate:,.0f}/s", refresh=False)
        self._bar.update(self._file.position - self._bar.n)

    def close(self) -> None:
        self._bar.close()


def _with_ids(batches: Iterable[list[RawFeature]], id_property: str | None) -> Iterator[list[RawFeature]]:
    for batch in batches:
        yield list(with_id_from(batch, id_property)) if id_property else batch
