"""Reads features from a file or a pipe: GeoJSON documents, lines or text sequences, gzipped or not.

The content decides which of them it is, never the name. Memory is bounded by a chunk and the largest feature. A file
that is damaged half-way gives what precedes the damage, then a StreamError.
"""

from __future__ import annotations

import gzip
import io
import os
import re
import stat
import sys
import zlib
from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import chain
from types import TracebackType
from typing import Any, BinaryIO, Self, cast

import msgspec

from streaming.core.errors import StreamError
from streaming.core.feed import MAX_BATCH
from streaming.engine.conf import conf

from .large_documents import DEGREES, LateCrs, RawFeature, late_crs, split_documents
from .source_crs import SourceCrs
from .splitting import split_lines, without_preamble

CHUNK = 1 << 18
STANDARD_INPUT = "standard input"
_GZIP = b"\x1f\x8b"
_DAMAGED = (EOFError, zlib.error, gzip.BadGzipFile)
_BEFORE_JSON = b" \t\r\n\xef\xbb\xbf"
_COLLECTION = re.compile(rb'"FeatureCollection"|"features"')


class FeatureFile:
    """A file or a pipe of features, to be read once. OSError if there is no such file. The features come in degrees.

    `position` of `size` bytes have been read; `size` is None for a pipe.
    """

    def __init__(self, path: str, crs: SourceCrs = DEGREES) -> None:
        self._crs = crs
        self.name = STANDARD_INPUT if path == "-" else path
        source = cast(BinaryIO, sys.stdin.buffer) if path == "-" else open(path, "rb", buffering=0)  # noqa: SIM115 (closed by __exit__)
        self._counted = _Counted(source)
        self.size = _size(source)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._counted.close()

    @property
    def position(self) -> int:
        """How many bytes of the file have been read, compressed if it is."""
        return self._counted.position

    def batches(self) -> Iterator[list[RawFeature]]:
        """The features, undecoded, in lists of about a thousand; of lines that come from a pipe, as soon as they come."""
        chunks = self._chunks()
        head, complete = _head(chunks)
        rest: Iterator[bytes] = chain(head, chunks)
        try:
            if _is_lines(b"".join(head), complete):
                yield from filter(None, map(self._crs.texts_in_wgs84, split_lines(rest, conf.MAX_FEATURE_BYTES)))
            else:
                late, rest = self._late_crs(rest)
                yield from filter(None, _grouped(split_documents(rest, conf.MAX_BODY_BYTES, self._crs, late)))
        except _DAMAGED as error:
            yield [StreamError("invalid_feature", f"the file is damaged from here on: {error}")]

    def records(self) -> Iterator[RawFeature]:
        """The same, one by one."""
        return chain.from_iterable(self.batches())

    def _late_crs(self, chunks: Iterator[bytes]) -> tuple[LateCrs, Iterator[bytes]]:
        """What the documents say of their CRS behind their features, and the chunks.

        A file is read for that once more. What comes through a pipe is held back until its end, unless it is longer than a document may be.
        """
        if self._crs.given:
            return {}, chunks
        if self.size is not None and self.name != STANDARD_INPUT:
            return late_crs(self._again, conf.MAX_BODY_BYTES), chunks
        held, ended = _held_back(chunks, conf.MAX_BODY_BYTES)
        late = late_crs(lambda: held, conf.MAX_BODY_BYTES) if ended else {}
        return late, chain(held, chunks)

    def _again(self) -> Iterator[bytes]:
        """The chunks of the file once more, up to where it is damaged."""
        with FeatureFile(self.name) as file, suppress(*_DAMAGED):
            yield from file._chunks()

    def _chunks(self) -> Iterator[bytes]:
        buffered = io.BufferedReader(self._counted, CHUNK)
        stream = cast(Any, gzip.GzipFile(fileobj=buffered) if buffered.peek(2)[:2] == _GZIP else buffered)
        return _Chunks(_without_preamble(iter(lambda: stream.read1(CHUNK), b"")))


class _Chunks:
    """An iterator that raises the error which ended it whenever it is asked again, also by somebody else."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._error: Exception | None = None

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> bytes:
        if self._error is not None:
            raise self._error
        try:
            return next(self._chunks)
        except _DAMAGED as error:
            self._error = error
            raise


class _Counted(io.RawIOBase):
    """A binary stream that counts the bytes read. Reading a pipe returns what there is, and does not wait for more."""

    def __init__(self, source: BinaryIO) -> None:
        self._source = source
        self._read = getattr(source, "read1", source.read)
        self.position = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._read(len(buffer))
        buffer[: len(data)] = data
        self.position += len(data)
        return len(data)

    def close(self) -> None:
        if not self.closed and self._source is not getattr(sys.stdin, "buffer", None):
            self._source.close()
        super().close()


def with_id_from(records: Iterable[RawFeature], name: str) -> Iterator[RawFeature]:
    """The features, each with the value of a property as its id.

    A StreamError comes in place of those that lack the property.
    """
    for record in records:
        yield record if isinstance(record, StreamError) else _with_id(record, name)


def _with_id(record: bytes, name: str) -> RawFeature:
    try:
        feature = msgspec.json.decode(record, type=dict[str, Any])
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        return StreamError("invalid_feature", f"not JSON: {error}")
    identity = (feature.get("properties") or {}).get(name)
    if identity is None:
        return StreamError("invalid_feature", f"id: the feature has no property {name!r} to take it from")
    feature["id"] = int(identity) if isinstance(identity, float) and identity.is_integer() else identity
    return msgspec.json.encode(feature)


def _size(source: BinaryIO) -> int | None:
    try:
        status = os.fstat(source.fileno())
    except OSError:  # not a file of the operating system
        return None
    return status.st_size if stat.S_ISREG(status.st_mode) else None


def _without_preamble(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """The chunks without a byte order mark and comments before the first record."""
    start = b""
    for chunk in chunks:
        start = without_preamble(start + chunk)
        if start[:1] not in (b"", b"#", b"/", b"\xef") or len(start) > conf.MAX_FEATURE_BYTES:
            break
    if start:
        yield start
    yield from chunks


def _head(chunks: Iterator[bytes]) -> tuple[list[bytes], bool]:
    """Chunks up to the end of the first line, at most as long as a feature may be; and whether they are the whole file."""
    head: list[bytes] = []
    size = 0
    while size <= conf.MAX_FEATURE_BYTES:
        try:
            chunk = next(chunks, b"")
        except _DAMAGED:  # raised again when the chunks are read
            return head, True
        if not chunk:
            return head, True
        head.append(chunk)
        size += len(chunk)
        if b"\n" in b"".join(head).lstrip(_BEFORE_JSON):
            return head, False
    return head, False


def _held_back(chunks: Iterator[bytes], size: int) -> tuple[list[bytes], bool]:
    """Chunks of about `size` bytes, and whether they are all."""
    held: list[bytes] = []
    with suppress(*_DAMAGED):  # raised again when the chunks are read
        for chunk in chunks:
            held.append(chunk)
            size -= len(chunk)
            if size < 0:
                return held, False
    return held, True


def _is_lines(head: bytes, complete: bool) -> bool:
    """Whether each line is a feature.

    A document may also begin with a line that looks like one, or have no line breaks at all.
    """
    start = head.lstrip(_BEFORE_JSON)
    if start.startswith(b"\x1e"):
        return True
    first, line_break, rest = start.partition(b"\n")
    try:
        document = msgspec.json.decode(first)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        next_is_feature = rest.startswith(b"{") and not _COLLECTION.search(first)
        return next_is_feature and first.strip() != b"{"
    return (bool(line_break) or complete) and isinstance(document, dict) and document.get("type") != "FeatureCollection"


def _grouped(records: Iterator[RawFeature]) -> Iterator[list[RawFeature]]:
    batch: list[RawFeature] = []
    try:
        for record in records:
            batch.append(record)
            if len(batch) == MAX_BATCH:
                yield batch
                batch = []
    except _DAMAGED:
        yield batch
        raise
    yield batch
