"""One ingest: a dataset is copied, checked, and published as a layer or a tileset; nothing is changed before all of it was checked."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Awaitable, Callable, Iterable
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from channels.db import database_sync_to_async
from django.core.exceptions import ValidationError

from streaming.core.bbox import Box
from streaming.core.errors import StreamError
from streaming.core.feed import Feed
from streaming.engine.conf import conf, data_dir
from streaming.features.feature_file import FeatureFile
from streaming.features.geojson import DEFAULT_RULES
from streaming.features.large_documents import DEGREES, RawFeature
from streaming.features.layer_creation import check_layer_name
from streaming.features.layers import layer_feed
from streaming.features.source_crs import SourceCrs
from streaming.files.folder import Folder
from streaming.files.rights import anonymous_rights
from streaming.models import Tileset
from streaming.tiles.optional import optional_libraries
from streaming.tiles.source_kinds import open_source, source_kind
from streaming.tiles.tilesets import tileset_settings
from streaming.tiles.trial import try_source

from .checked_features import CheckedFeatures, check_features
from .csv_points import csv_features
from .datasets import Dataset, default_name
from .errors import Ignored, IngestError, Superseded
from .options import IngestOptions
from .ownership import TILESET_SETTINGS, claim_layer, claim_tileset, tileset_folder
from .staging import options_of, stage, unpack_shapefile
from .worker.tasks import FeaturesRead, MakeOverviews, ReadFeatures
from .worker_process import WorkerProcesses

STAGING = ".incoming-"
_COPIED, _CHECKED = 0.3, 0.8
"""Of an ingest, after these steps."""
_TELL_SECONDS = 0.25


@dataclass
class Outcome:
    """What a file has become."""

    name: str
    made: int
    features: int | None = None
    box: Box | None = None
    crs: str = ""
    message: str = ""


@dataclass
class Job:
    """One ingest of a dataset. `still` is asked whether it is to go on, from threads; `tell` is told how much is done, there too."""

    dataset: Dataset
    folder: Folder
    workers: WorkerProcesses
    in_thread: Callable[..., Awaitable[Any]]
    still: Callable[[], bool]
    tell: Callable[[float], None]
    _told_at: float = 0.0

    async def run(self) -> Outcome:
        """`IngestError`, `Ignored`, `Superseded`; `StreamError` if Redis does not answer."""
        options = await self.in_thread(options_of, self.folder.store, self.dataset)
        if options.ignore:
            raise Ignored("its options (.layer.json) say so")
        name = options.name or default_name(self.dataset.path)
        try:
            check_layer_name(name)
        except StreamError as error:
            raise IngestError(f"{error.message} Name it in its options (.layer.json)") from None
        base = data_dir() / "ingested"
        base.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=base, prefix=STAGING, ignore_cleanup_errors=True) as staging:
            ingest = self._layer if self.dataset.kind.becomes == "layer" else self._tileset
            return await ingest(name, options, Path(staging))

    # -- layers ----------------------------------------------------------------

    async def _layer(self, name: str, options: IngestOptions, staging: Path) -> Outcome:
        features, crs = await self.in_thread(self._check_features, options, staging)
        self._go_on()
        layer, made = await database_sync_to_async(claim_layer)(
            self.dataset.path, name, options, len(features.keys), self._public, self._exists
        )
        await self.in_thread(self._publish, features, layer_feed(layer))
        return Outcome(name, made, len(features.keys), features.box, crs)

    def _check_features(self, options: IngestOptions, staging: Path) -> tuple[CheckedFeatures, str]:
        main = stage(self.folder.store, self.dataset, staging, self._copied())
        kind = self.dataset.kind.name
        spool = staging / "checked"
        code = options.code
        crs = "" if code is None else f"EPSG:{code}"

        def check(records: Iterable[RawFeature], done: Callable[[], float]) -> CheckedFeatures:
            return check_features(records, spool, DEFAULT_RULES, options.id, lambda _: self._at(_COPIED + (_CHECKED - _COPIED) * done()))

        if kind == "csv":
            return check(csv_features(main, options), lambda: 0.5), crs or "EPSG:4326"
        if kind != "geojson":
            if kind == "zip":
                main = unpack_shapefile(main)
            main, crs = self._read_in_worker(main, options, staging)
        source = SourceCrs(code, given=True) if code is not None and kind == "geojson" else DEGREES
        with FeatureFile(str(main), source) as file:
            return check(file.records(), lambda: file.position / (file.size or 1)), crs

    def _read_in_worker(self, main: Path, options: IngestOptions, staging: Path) -> tuple[Path, str]:
        target = staging / "features.geojsonl"
        task = ReadFeatures(main.name, target.name, int(conf.INGEST_MAX_FEATURES), options.table, options.code)
        answer = self.workers.run(task, staging)
        assert isinstance(answer, FeaturesRead)
        return target, answer.crs

    def _publish(self, features: CheckedFeatures, feed: Feed) -> None:
        """Store what is different, and delete what the file does not have any more."""
        gone = feed.stored_keys_sync() - features.keys
        feed.delete_sync(gone)
        done = 0
        for batch in features.batches():
            feed.put_sync(batch)
            done += len(batch)
            self._at(_CHECKED + (1 - _CHECKED) * done / len(features.keys))

    # -- tilesets ----------------------------------------------------------------

    async def _tileset(self, name: str, options: IngestOptions, staging: Path) -> Outcome:
        checked: tuple[Tileset, Outcome] = await self.in_thread(self._check_tileset, name, options, staging)
        tileset, outcome = checked
        self._go_on()
        kind, source = source_kind(tileset.kind), Path(tileset.source)
        target = tileset_folder(name) / f"{name}{kind.suffixes[0]}"
        target.parent.mkdir(parents=True, exist_ok=True)
        tileset.source = str(target.resolve())
        outcome.made = await database_sync_to_async(claim_tileset)(
            self.dataset.path, tileset, self._public, self._exists, partial(kind.replace, source, target)
        )
        return outcome

    def _check_tileset(self, name: str, options: IngestOptions, staging: Path) -> tuple[Tileset, Outcome]:
        main = stage(self.folder.store, self.dataset, staging, self._copied())
        outcome = Outcome(name, 0)
        if self.dataset.kind.name == "raster":
            main, outcome.crs = self._prepare_raster(main, staging)
        tileset = Tileset(name=name, kind=self.dataset.kind.name, source=str(main.resolve()))
        for setting in TILESET_SETTINGS:
            if (value := getattr(options, setting)) is not None:
                setattr(tileset, setting, value)
        try:
            tileset.clean_fields()
            tileset.clean()
            settings = tileset_settings(tileset)
            with closing(open_source(settings)) as source:
                self._at(_COPIED)
                outcome.message = " ".join(try_source(settings, source))
                outcome.box = settings.override(source.metadata).bounds
        except ValidationError as error:
            raise IngestError(" ".join(error.messages)) from None
        except StreamError as error:
            raise IngestError(error.message) from None
        self._at(_CHECKED)
        return tileset, outcome

    def _prepare_raster(self, main: Path, staging: Path) -> tuple[Path, str]:
        """The image to be shown, which has overviews if it is large, and the name of its CRS."""
        with optional_libraries("GeoTIFFs"):
            from .rasters import look_at_raster

        try:
            needs_overviews, crs = look_at_raster(main)
        except StreamError as error:
            raise IngestError(error.message) from None
        if not needs_overviews:
            return main, crs
        target = staging / "overviews" / main.name
        target.parent.mkdir()
        self.workers.run(MakeOverviews(main.name, str(target.relative_to(staging))), staging)
        return target, crs

    # -- on the way ----------------------------------------------------------------

    @property
    def _public(self) -> bool:
        return anonymous_rights().allows("read", self.dataset.path)

    def _exists(self, path: str) -> bool:
        return self.folder.index.record(path) is not None

    def _copied(self) -> Callable[[int], None]:
        total, done = max(self.dataset.size, 1), 0

        def copied(size: int) -> None:
            nonlocal done
            done += size
            self._at(_COPIED * done / total)

        return copied

    def _at(self, progress: float) -> None:
        self._go_on()
        if (now := time.monotonic()) - self._told_at > _TELL_SECONDS:
            self._told_at = now
            self.tell(progress)

    def _go_on(self) -> None:
        if not self.still():
            raise Superseded
