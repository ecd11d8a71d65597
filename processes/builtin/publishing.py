"""The input `publish_to` of processes: their result goes into a layer, or is painted over a tileset, and so onto every map at once."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

from django.core.exceptions import ValidationError

from processes.worker import BadInput, FeatureCollection, Input, Job, JobFailed
from streaming.engine.conf import data_dir
from streaming.features.ingest import IngestResult
from streaming.features.publishing import publish
from streaming.models import Tileset
from streaming.tiles.imagery import paint_sync
from streaming.tiles.tilesets import check_tileset, tilesets

from .refusals import refusals
from .rights import database, require_writable_layer, require_writable_tileset

PublishTo = Annotated[
    str | None,
    Input(
        title="Layer for the result",
        description="Features with the same ids are replaced; a layer that does not exist is created.",
        max_length=100,
    ),
]
ResultLayer = Annotated[str, Input(title="Layer for the result", max_length=100)]
PaintOver = Annotated[
    str | None,
    Input(
        title="Tileset for the result",
        description="The image is painted over it; a tileset that does not exist is created.",
        max_length=100,
    ),
]
SHOWN_REASONS = 5


def check_layer(layer: str | None, job: Job) -> None:
    """Before the work: may the user publish there? `JobFailed`."""
    if layer is not None:
        require_writable_layer(layer, job)


def check_painting(tileset: str | None, job: Job) -> None:
    """Before the work: may the user paint there? `JobFailed`."""
    if tileset is not None:
        require_writable_tileset(tileset, job)
        with database():
            found = tilesets.all_sync().get(tileset)
        if found is not None and found.kind != "raster":
            raise BadInput(f"images are painted over tilesets of the kind raster, and {tileset} is of the kind {found.kind}", "publish_to")


def publish_features(layer: str | None, features: FeatureCollection, job: Job) -> None:
    """Put features into a layer, if there is one. Those without an id get one that is the same in every attempt. `JobFailed`."""
    if layer is None:
        return
    members = [each if "id" in each else {**each, "id": f"{job.id}-{number}"} for number, each in enumerate(features["features"], 1)]
    with database(), refusals("the result could not be published"):
        result = publish(layer, {**features, "features": members})
    _report(layer, result, job)


def paint(tileset: str | None, geotiff: bytes, job: Job, **settings: Any) -> None:
    """Paint an image over a tileset, if there is one, under the name of the job. `settings` are those of a new tileset. `JobFailed`."""
    if tileset is None:
        return
    try:
        with database(), refusals("the result could not be painted"):
            found = tilesets.all_sync().get(tileset)
            if found is None:
                _create(tileset, geotiff, settings)
            else:
                paint_sync(found, geotiff, job.id)
    except ValidationError as error:
        raise BadInput(" ".join(error.messages), "publish_to") from error
    job.log("info", f"painted over the tileset {tileset}")


def _create(name: str, geotiff: bytes, settings: dict[str, Any]) -> None:
    """A tileset of this image alone."""
    row = Tileset(name=name, kind="raster", source="result.tif", **settings)
    row.full_clean()
    path = data_dir().resolve() / "tiles" / name / "result.tif"
    path.parent.mkdir(parents=True, exist_ok=True)
    _write(path, geotiff)
    row.source = str(path)
    check_tileset(row)
    row.save()


def _write(path: Path, content: bytes) -> None:
    """In one step: somebody may be reading the file that was there."""
    incoming = path.with_name(f".incoming-{os.getpid()}-{path.name}")
    incoming.write_bytes(content)
    incoming.replace(path)


def _report(layer: str, result: IngestResult, job: Job) -> None:
    for error in result.errors[:SHOWN_REASONS]:
        job.log("warning", f"feature {error['index']} was refused: {error['message']}")
    if result.refused and result.refused == result.total:
        raise JobFailed(f"the layer {layer} refused every feature: {result.errors[0]['message']}", status=422)
    counts = {"added": result.added, "updated": result.updated, "unchanged": result.unchanged, "refused": result.refused}
    job.log("info", f"layer {layer}: " + ", ".join(f"{count} {what}" for what, count in counts.items() if count))
