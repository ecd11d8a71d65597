"""The interface of tile sources, and what they share.

A source is opened once and used by several threads. Its files may be damaged or replaced at any time: that is
`StreamError("invalid_source")`, never a crash.
"""

from __future__ import annotations

import threading
import zlib
from collections.abc import Callable, Hashable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, Protocol, TypeVar

import zstandard

from streaming.core.bbox import Box
from streaming.core.errors import StreamError

MIME = {
    "png": "image/png",
    "webp": "image/webp",
    "jpg": "image/jpeg",
    "avif": "image/avif",
    "mvt": "application/vnd.mapbox-vector-tile",
}
FORMAT_NAMES = {"png": "png", "webp": "webp", "jpg": "jpg", "jpeg": "jpg", "avif": "avif", "mvt": "mvt", "pbf": "mvt"}
"""The formats by the endings of files and URLs."""
MAX_TILE_BYTES = 16 * 1024 * 1024
"""Larger tiles are refused; also those that become larger when they are decompressed."""
MAX_TEXT = 300
"""Characters of a library's error that are passed on: PROJ writes down both CRSs."""
_ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"

H = TypeVar("H")


class SourceClosed(StreamError):
    """The source was closed because it changed. Open it again."""

    def __init__(self) -> None:
        super().__init__("invalid_source", "the source has just changed; ask again")


@dataclass(frozen=True, slots=True)
class TileMetadata:
    """What a source has. `bounds` in degrees; both zooms are included."""

    bounds: Box
    min_zoom: int
    max_zoom: int
    format: str
    tile_size: int = 256
    attribution: str = ""
    vector_layers: tuple[str, ...] = ()
    thinned_below: int = 0
    """Tiles of lower zooms may lack features that would hardly be seen; from this zoom on none is missing."""
    cacheable: bool = True
    """Whether rendered tiles may be kept. Not where a tile may change while the version of the source stays the
    same."""


class TileSource(Protocol):
    """An open source of tiles. It renders one tile at a time in a worker thread."""

    @property
    def metadata(self) -> TileMetadata:
        """What the source has."""
        ...

    def render(self, z: int, x: int, y: int) -> bytes | None:
        """A tile as a file of `metadata.format`, None if it is empty. `StreamError("invalid_source")`."""
        ...

    def close(self) -> None:
        """Close the files, once no thread is rendering."""
        ...


class PerThread(Generic[H]):
    """A handle of a file for each thread that reads it. All are closed together, once no thread uses one."""

    def __init__(self, open_handle: Callable[[], H], close_handle: Callable[[H], None]) -> None:
        self._open, self._close = open_handle, close_handle
        self._local = threading.local()
        self._lock = threading.Lock()
        self._handles: list[H] = []
        self._in_use = 0
        self._closing = False

    @contextmanager
    def lease(self) -> Iterator[H]:
        """This thread's handle. `SourceClosed`."""
        with self._lock:
            if self._closing:
                raise SourceClosed
            self._in_use += 1
        try:
            yield self._handle()
        finally:
            with self._lock:
                self._in_use -= 1
            self._close_unused()

    def close(self) -> None:
        """Close all handles as soon as no lease is out."""
        self._closing = True
        self._close_unused()

    def _handle(self) -> H:
        if not hasattr(self._local, "handle"):
            handle = self._open()
            with self._lock:
                self._handles.append(handle)
            self._local.handle = handle
        found: H = self._local.handle
        return found

    def _close_unused(self) -> None:
        with self._lock:
            unused = self._handles if self._closing and not self._in_use else []
            if unused:
                self._handles = []
        for handle in unused:
            self._close(handle)


@contextmanager
def source_errors(path: str | Path, *errors: type[BaseException]) -> Iterator[None]:
    """Turns a library's errors about a file into `StreamError("invalid_source")`."""
    try:
        yield
    except errors as error:
        raise invalid_source(path, error_text(path, error)) from error


def error_text(path: str | Path, error: BaseException) -> str:
    """The text of a library's error about a file, without the file's name and folder."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    text = (str(error) or type(error).__name__)[:MAX_TEXT]
    if "previous exception" in text:  # GDAL: the last one has the reason
        while error.__cause__ is not None:
            error = error.__cause__
        text = f"it is damaged or cut off ({error})"
    name, folder = Path(path).name, Path(path).parent
    if folder.is_absolute():
        text = text.replace(f"{folder}/", "")
    return text.removeprefix(f"{name}: ").removeprefix(f"'{name}' ")


def invalid_source(path: str | Path, why: str) -> StreamError:
    """The refusal of a source. It names the file but not its folder."""
    return StreamError("invalid_source", f"{Path(path).name}: {why}")


def file_version(paths: Iterable[Path]) -> Hashable:
    """A value that changes when one of the files is replaced or written to."""
    return tuple(_stamp(path) for path in paths)


def decompressed(data: bytes, name: str | Path) -> bytes:
    """A stored vector tile without its gzip, zlib or zstd, so that equal content is equal bytes."""
    with source_errors(name, zlib.error, zstandard.ZstdError):
        if data[:2] == b"\x1f\x8b" or _is_zlib(data):
            unzip = zlib.decompressobj(wbits=47)  # it finds out which of the two
            whole = unzip.decompress(data, MAX_TILE_BYTES)
            if unzip.unconsumed_tail:
                raise invalid_source(name, "a tile is too large once it is unpacked")
            if not unzip.eof:
                raise invalid_source(name, "a compressed tile is truncated")
            return whole
        if data[:4] == _ZSTD_MAGIC:
            if zstandard.frame_content_size(data) > MAX_TILE_BYTES:  # zstd allocates as much as the frame declares
                raise invalid_source(name, "a tile is too large once it is unpacked")
            return zstandard.ZstdDecompressor().decompress(data, max_output_size=MAX_TILE_BYTES)
    return data


def _is_zlib(data: bytes) -> bool:
    """By its first two bytes, https://www.rfc-editor.org/rfc/rfc1950#section-2.2. No vector tile begins with the first one."""
    return data[:1] == b"\x78" and len(data) > 2 and int.from_bytes(data[:2]) % 31 == 0


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino
