"""The files of the images painted over a raster tileset.

A file's name has all that is known of an image: when it was painted, the hash of its bytes, and its own name. A file is
never written to: another file replaces it. A file gets its name once it is whole, and one process at a time changes the
folder.
"""

from __future__ import annotations

import fcntl
import re
import shutil
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from hashlib import blake2b
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from streaming.core.errors import StreamError
from streaming.engine.conf import conf

from .sources.side_files import side_ending, side_files, side_path

Content = bytes | Path | Iterable[bytes]
SUFFIX = ".tif"
STALE_SECONDS = 24 * 3600
"""A file that was half written when its process died is removed after this time."""
_INCOMING = ".incoming-"
_NAME = re.compile(rf"([0-9]{{20}})-([0-9a-f]+)-(.+){re.escape(SUFFIX)}")


class PaintedFile(NamedTuple):
    """One image. `stamp` is when it was painted (nanoseconds since 1970); later images are on top."""

    stamp: int
    version: str
    image: str
    path: Path


def painted_files(folder: Path) -> list[PaintedFile]:
    """The images of a folder, from the lowest to the highest; none if the folder does not exist.

    Files of other names are ignored.
    """
    names = ((_NAME.fullmatch(path.name), path) for path in folder.glob(f"*{SUFFIX}"))
    return sorted(PaintedFile(int(name[1]), name[2], name[3], path) for name, path in names if name)


@contextmanager
def temporary_image(folder: Path, image: str) -> Iterator[Path]:
    """A path in the folder to write an image to.

    It is removed at the end, unless the image was moved by `add_image`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for path in folder.glob(f"{_INCOMING}*"):
        with suppress(FileNotFoundError):  # another process has just finished with it
            if time.time() - path.stat().st_mtime > STALE_SECONDS:
                shutil.rmtree(path, ignore_errors=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=_INCOMING, ignore_cleanup_errors=True) as own:
        yield Path(own) / f"{image}{SUFFIX}"


def write_image(path: Path, image: Content, beside: Mapping[str, Content] = MappingProxyType({})) -> str:
    """Write an image and its side files, which are named by their endings; returns the hash of their bytes.

    `StreamError("too_large")`.
    """
    digest, size = blake2b(digest_size=16), 0
    for target, content in ((path, image), *((side_path(path, ending), content) for ending, content in sorted(beside.items()))):
        with target.open("wb") as file:
            for chunk in _chunks(content):
                size += len(chunk)
                if size > conf.MAX_IMAGERY_BYTES:
                    raise StreamError("too_large", f"the image is larger than the {conf.MAX_IMAGERY_BYTES} bytes allowed")
                digest.update(chunk)
                file.write(chunk)
    return digest.hexdigest()


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """A lock of the folder for this process and thread.

    `StreamError("unknown_tileset")` if the folder does not exist any more.
    """
    try:
        lock = (folder / ".lock").open("w")
    except FileNotFoundError as error:
        raise StreamError("unknown_tileset", f"tileset {folder.name!r} has just been removed") from error
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def add_image(path: Path, folder: Path, image: str, version: str, instead_of: list[PaintedFile]) -> PaintedFile:
    """Move a file and its side files into the folder, above all others, and remove those it replaces.

    For a `locked` folder. `StreamError("tileset_full")`.
    """
    present = painted_files(folder)
    if len(present) - len(instead_of) >= conf.MAX_IMAGERY:
        raise StreamError("tileset_full", f"{conf.MAX_IMAGERY} images are painted over it, as many as may be; take some away, or all")
    stamp = max([time.time_ns(), *(each.stamp + 1 for each in present)])
    added = PaintedFile(stamp, version, image, folder / f"{stamp:020d}-{version}-{image}{SUFFIX}")
    for each in side_files(path):
        each.rename(side_path(added.path, side_ending(each.name[len(path.stem) :]) or ""))
    path.rename(added.path)
    remove_images(instead_of)
    return added


def remove_images(files: Iterable[PaintedFile]) -> None:
    """Remove images. Threads that have them open can read on."""
    for each in files:
        beside = side_files(each.path)
        each.path.unlink(missing_ok=True)
        for path in beside:
            path.unlink(missing_ok=True)


def _chunks(image: Content) -> Iterator[bytes]:
    if isinstance(image, bytes):
        yield image
    elif isinstance(image, Path):
        with image.open("rb") as file:
            yield from iter(lambda: file.read(1 << 20), b"")
    else:
        yield from image
