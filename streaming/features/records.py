"""A body or a stream of GeoJSON, cut into its features.

Cutting never gives up on the rest because of one bad record: an overlong record comes out as the StreamError it is refused with, in its
place, so that whoever counts the records knows which one it was. A stream of any length is cut in the memory of one record and one chunk.
"""

from __future__ import annotations

import re
from codecs import BOM_UTF8
from collections.abc import Iterable, Iterator

import msgspec

from streaming.core.errors import StreamError

from .documents import iter_documents

_NO_JSON_NUMBER = re.compile(rb"NaN|Infinity")
_SEPARATOR = b"\x1e"
_BLANK = b" \t\r\n"


class _Document(msgspec.Struct):
    type: str | None = None
    features: list[msgspec.Raw] | None = None


_decode_document = msgspec.json.Decoder(_Document).decode


def split_features(body: bytes) -> Iterator[bytes]:
    """The features of one JSON document, a Feature or a FeatureCollection, undecoded. StreamError invalid_feature.

    Many libraries write NaN and Infinity, which JSON does not have: such a feature comes out as it is, to be refused alone.
    """
    try:
        document = _decode_document(body)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        features = _beside_no_numbers(body)
        if features is not None:
            return iter(features)
        raise StreamError("invalid_feature", f"not a GeoJSON Feature or FeatureCollection: {error}") from None
    if document.type == "Feature":
        return iter((body,))
    if document.type != "FeatureCollection":
        raise StreamError("invalid_feature", f"type: must be 'Feature' or 'FeatureCollection', not {document.type!r:.40}")
    if document.features is None:
        raise StreamError("invalid_feature", "features: a FeatureCollection needs a list of features")
    return map(bytes, document.features)


def _beside_no_numbers(body: bytes) -> list[bytes] | None:
    """The features of a document that would be JSON if it were not for NaN or Infinity; None if it would not."""
    if not _NO_JSON_NUMBER.search(body):
        return None
    found = list(iter_documents([body], len(body)))
    features = [feature for feature in found if not isinstance(feature, StreamError)]
    return features if len(features) == len(found) else None


def iter_lines(chunks: Iterable[bytes], max_line: int) -> Iterator[bytes | StreamError]:
    """The records of newline-delimited JSON or of an RFC 8142 text sequence, without blank ones; too_large in place of overlong ones."""
    cutter = LineCutter(max_line)
    for chunk in chunks:
        yield from cutter.feed(chunk)
    yield from cutter.end()


class LineCutter:
    """`iter_lines` for callers that receive their chunks with `await`. RFC 8142 is recognised by its first byte, 0x1E."""

    def __init__(self, max_line: int) -> None:
        self._max_line = max_line
        self._pending = bytearray()
        self._size = 0
        self._separator: bytes | None = None

    def feed(self, chunk: bytes) -> Iterator[bytes | StreamError]:
        """The records that `chunk` completes."""
        if self._separator is None:
            chunk = self._recognise(chunk)
            if self._separator is None:
                return
        *whole, rest = chunk.split(self._separator)
        for piece in whole:
            self._append(piece)
            yield from self.end()
        self._append(rest)

    def end(self) -> Iterator[bytes | StreamError]:
        """The record that ends here, if there is one."""
        size, record = self._size, bytes(self._pending)
        self._pending.clear()
        self._size = 0
        if size > self._max_line:
            yield StreamError("too_large", f"the record is longer than the {self._max_line} bytes allowed")
        elif record := record.strip(_BLANK):
            yield record

    def _recognise(self, chunk: bytes) -> bytes:
        start = (bytes(self._pending) + chunk).lstrip(_BLANK)
        self._pending.clear()
        if len(start) < len(BOM_UTF8) and BOM_UTF8.startswith(start):
            self._pending += start
            return b""
        start = start.removeprefix(BOM_UTF8)
        self._separator = _SEPARATOR if start.lstrip(_BLANK).startswith(_SEPARATOR) else b"\n"
        return start

    def _append(self, piece: bytes) -> None:
        self._size += len(piece)
        if self._size > self._max_line:
            self._pending.clear()
        else:
            self._pending += piece
