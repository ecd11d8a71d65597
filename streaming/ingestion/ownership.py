"""Which layers and tilesets files have made: only these are ever changed or removed for a file, never what somebody else has made.

A file that is gone leaves what it made to the next one of the same name, so a file that was moved keeps its layer.
Everything here asks the database, and is called in its thread.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone

from streaming.engine.conf import conf, data_dir
from streaming.features.layers import LayerSettings
from streaming.models import FileIngest, Layer, Tileset

from .errors import IngestError
from .options import IngestOptions

READ_FILES = "streaming.read_files"
"""What reads layers and tilesets of files that are not for everybody."""

Exists = Callable[[str], bool]


@transaction.atomic
def claim_layer(path: str, name: str, options: IngestOptions, count: int, public: bool, exists: Exists) -> tuple[LayerSettings, int]:
    """The layer of a file, made if there is none, and its number. `IngestError` if it is somebody else's, or holds fewer features."""
    layer = Layer.objects.filter(name=name).first()
    most = max(int(conf.INGEST_MAX_FEATURES), Layer._meta.get_field("max_features").default)
    if layer is None:
        layer = Layer(name=name, max_features=most, **_access(public))
    else:
        _take(path, "layer", layer, exists)
    if layer.max_features and count > layer.max_features:
        raise IngestError(f"the layer {name} may have {layer.max_features:,} features, and these are {count:,}")
    _save(layer, title=options.title, time_property=options.time)
    _note(path, "layer", layer)
    return LayerSettings.from_row(layer), layer.pk


@transaction.atomic
def claim_tileset(path: str, tileset: Tileset, public: bool, exists: Exists, place: Callable[[], None]) -> int:
    """Save the tileset of a file, made or changed as this unsaved one, after its files were put in `place`; returns its number."""
    there = Tileset.objects.filter(name=tileset.name).first()
    if there is None:
        there = Tileset(name=tileset.name, **_access(public))
    else:
        _take(path, "tileset", there, exists)
    place()
    given = {name: getattr(tileset, name) for name in TILESET_SETTINGS if getattr(tileset, name) not in (None, "")}
    _save(there, kind=tileset.kind, source=tileset.source, **given)
    _note(path, "tileset", there)
    return there.pk


TILESET_SETTINGS = ("title", "attribution", "rescale", "colormap", "format", "tile_size", "min_zoom", "max_zoom")
"""What the options of a file may say of its tileset."""


@transaction.atomic
def release(path: str) -> str | None:
    """Remove what a file has made, and its row; returns the name, which is free now."""
    row = FileIngest.objects.filter(path=path).first()
    if row is None:
        return None
    row.delete()
    if row.made is None:
        return None
    _remove(row.kind, row.made)
    return row.layer or row.tileset


def tileset_folder(name: str) -> Path:
    """Where the copy of a file is from which tiles are made."""
    return data_dir() / "ingested" / name


def _access(public: bool) -> dict[str, Any]:
    return {"public": public, "permission": "" if public else READ_FILES}


def _take(path: str, kind: str, row: Layer | Tileset, exists: Exists) -> None:
    owner = FileIngest.objects.filter(kind=kind, made=row.pk).first()
    if owner is None:
        raise IngestError(f"there is a {kind} {row.name} already, which no file has made; name the file otherwise, or in its options")
    if owner.path != path:
        if exists(owner.path):
            raise IngestError(f"{owner.path} is the {kind} {row.name} already; give the file another name, or one in its options")
        owner.made = None
        owner.save()


def _save(row: Layer | Tileset, **values: Any) -> None:
    for name, value in values.items():
        if value is not None:
            setattr(row, name, value)
    try:
        row.full_clean()
    except ValidationError as error:
        raise IngestError(" ".join(error.messages)) from None
    row.save()


def _note(path: str, kind: str, row: Layer | Tileset) -> None:
    """Write down whose it is, and remove what the file has made before under another name."""
    before = FileIngest.objects.filter(path=path).first()
    if before is not None and before.made is not None and (before.kind, before.made) != (kind, row.pk):
        _remove(before.kind, before.made)
    names = {"layer": "", "tileset": "", kind: row.name}
    values = {**names, "kind": kind, "made": row.pk, "status": "running", "updated": timezone.now()}
    FileIngest.objects.update_or_create(path=path, defaults=values)


def _remove(kind: str, made: int) -> None:
    row: Layer | Tileset | None = (Layer if kind == "layer" else Tileset).objects.filter(pk=made).first()
    if row is None:
        return
    row.delete()
    if kind == "tileset":
        transaction.on_commit(lambda: shutil.rmtree(tileset_folder(row.name), ignore_errors=True))
