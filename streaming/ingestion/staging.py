"""Copies of files on which a job works: what others do in the folder meanwhile does not disturb it, and links lead nowhere.

A copy has the name that its kind has, never one that a client chose.
"""

from __future__ import annotations

import shutil
import zipfile
import zlib
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path

from streaming.core.errors import StreamError
from streaming.engine.conf import conf
from streaming.files.paths import PathError, clean_path
from streaming.files.sniff import SNIFFED_BYTES, sniff
from streaming.files.staging import BLOCK
from streaming.files.store import Store

from .datasets import Dataset, Part
from .errors import Ignored, IngestError, Superseded
from .kinds import SHAPEFILE_PARTS, SHAPEFILE_SIDES
from .options import MAX_BYTES, NONE, IngestOptions, read_options

Copied = Callable[[int], None]
"""Called with the bytes that were copied."""
_DAMAGED = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, OSError, ValueError)
_MOST_MEMBERS = 1000


def options_of(store: Store, dataset: Dataset) -> IngestOptions:
    """The options of a dataset. `IngestError`, `Superseded`."""
    if dataset.options is None:
        return NONE
    if dataset.options.size > MAX_BYTES:
        raise IngestError("its options (.layer.json) are too large")
    return read_options(b"".join(_blocks(store, dataset.options_path, dataset.options.hash)))


def stage(store: Store, dataset: Dataset, folder: Path, copied: Copied) -> Path:
    """Copy a dataset into an empty folder; returns where the file itself is. `IngestError`, `Superseded`.

    The bytes are those that were announced, and its first ones are of its kind.
    """
    if dataset.size > conf.INGEST_MAX_BYTES:
        raise IngestError(f"it has {dataset.size:,} bytes; GEOSTREAM_INGEST_MAX_BYTES allows {conf.INGEST_MAX_BYTES:,}")
    if dataset.size > shutil.disk_usage(folder).free - conf.FILES_FREE_BYTES:
        raise IngestError("there is no room for a copy of it on the disk")
    for part in dataset.parts:
        _copy(store, part, folder / part.staged, copied)
    main = folder / dataset.staged
    with main.open("rb") as file:
        found = sniff(file.read(SNIFFED_BYTES))
    if found not in dataset.kind.sniffed:
        raise IngestError(f"its content is not what its name says: {found}")
    return main


def unpack_shapefile(archive: Path) -> Path:
    """Unpack the shapefile of a zip beside it. `Ignored` if there is none in it, `IngestError`.

    Members are named by us, and no more is written than `GEOSTREAM_INGEST_MAX_BYTES`, whatever the archive says.
    """
    try:
        with zipfile.ZipFile(archive) as file:
            members = file.infolist()
            if len(members) > _MOST_MEMBERS:
                raise IngestError(f"it has more than {_MOST_MEMBERS} members")
            names = [_clean(member.filename) for member in members if not member.is_dir()]
            stems = [name[: -len(".shp")] for name in names if name.lower().endswith(".shp") and not name.startswith("__MACOSX/")]
            if not stems:
                raise Ignored("there is no shapefile in it")
            if len(stems) > 1:
                raise IngestError("there are several shapefiles in it; put each into a zip of its own")
            left = int(conf.INGEST_MAX_BYTES)
            for member, name in zip([each for each in members if not each.is_dir()], names, strict=True):
                ending = name[len(stems[0]) :].lower()
                if name.startswith(stems[0]) and ending in (".shp", *SHAPEFILE_PARTS, *SHAPEFILE_SIDES):
                    left = _unpack(file, member, archive.with_name(f"unpacked{ending}"), left)
    except _DAMAGED as error:
        raise IngestError(f"the zip cannot be read: {str(error)[:200]}") from None
    shapefile = archive.with_name("unpacked.shp")
    lacking = [ending for ending in SHAPEFILE_PARTS if not shapefile.with_suffix(ending).exists()]
    if lacking:
        raise IngestError(f"the shapefile in it lacks its {' and '.join(lacking)}")
    return shapefile


def _clean(name: str) -> str:
    try:
        return clean_path(name, int(conf.FILES_DEPTH))
    except PathError as error:
        raise IngestError(f"the zip has a member that no path may be called: {error.message}") from None


def _unpack(archive: zipfile.ZipFile, member: zipfile.ZipInfo, target: Path, left: int) -> int:
    with archive.open(member) as source, target.open("xb") as copy:
        while block := source.read(BLOCK):
            left -= len(block)
            if left < 0:
                raise IngestError(f"unpacked it has more than the {conf.INGEST_MAX_BYTES:,} bytes of GEOSTREAM_INGEST_MAX_BYTES")
            copy.write(block)
    return left


def _copy(store: Store, part: Part, target: Path, copied: Copied) -> None:
    with target.open("xb") as copy:
        for block in _blocks(store, part.path, part.record.hash):
            copy.write(block)
            copied(len(block))


def _blocks(store: Store, path: str, hash: str) -> Iterator[bytes]:
    """The content of a file. `Superseded`, at its end at the latest, if it is not that of the hash."""
    content, offset = sha256(), 0
    try:
        file = store.read(path)
    except StreamError:
        raise Superseded from None
    try:
        while block := file.read_at(offset, BLOCK):
            content.update(block)
            offset += len(block)
            yield block
    finally:
        file.close()
    if content.hexdigest() != hash:
        raise Superseded
