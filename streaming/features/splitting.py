"""Splits GeoJSON text into features, without decoding them.

The text is a document held in memory, lines, or a text sequence; documents of any size are read by `large_documents`. One bad record
never costs its neighbours: a record that is too long comes out, in its place, as the StreamError that refuses it, so the caller can
count records. Lines of any number are split in the memory of one record and one chunk.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from streaming.core.errors import StreamError
from streaming.core.json_values import half_surrogate_pair

from .collection_pieces import cut_collection
from .large_documents import DEGREES, RawFeature, late_crs, split_documents, wrong_type
from .source_crs import SourceCrs

WHOLE_BYTES = 512 * 1024
"""A document up to this size is read in one go."""
_UNREADABLE = (msgspec.DecodeError, UnicodeError, RecursionError)
_PREAMBLE = re.compile(rb"(?:\xef\xbb\xbf|[ \t\r\n])*(?:(?://|#)[^\n]*\n[ \t\r\n]*)*")
_NO_JSON_NUMBER = re.compile(rb"NaN|Infinity")
_SEPARATOR = b"\x1e"
_BLANK = b" \t\r\n"


class _Document(msgspec.Struct):
    type: str | None = None
    features: list[msgspec.Raw] | None = None
    crs: Any = None


_decode_features = msgspec.json.Decoder(list[msgspec.Raw]).decode
_decode_document = msgspec.json.Decoder(_Document | list[msgspec.Raw]).decode


def split_features(body: bytes, crs: SourceCrs = DEGREES) -> Iterator[RawFeature]:
    """The features of one JSON document, in degrees: a Feature, a FeatureCollection or a list of features.

    StreamError invalid_feature or invalid_crs.

    Many libraries write NaN and Infinity, which JSON does not have, or cut an emoji into half a surrogate pair. Such a
    feature comes out as it is, and is refused alone later.
    """
    body = without_preamble(body)
    found = _in_pieces(body, crs) if len(body) > WHOLE_BYTES else None
    if found is not None:
        return found
    try:
        document = _decode_document(body)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        features = _split_leniently(body, crs)
        if features is not None:
            return iter(features)
        raise StreamError("invalid_feature", f"not a GeoJSON Feature or FeatureCollection: {error}") from None
    if isinstance(document, list):
        return _in_degrees(map(bytes, document), crs)
    if document.type == "Feature":
        return _in_degrees((body,), crs)
    if document.type != "FeatureCollection":
        raise StreamError("invalid_feature", wrong_type(document.type))
    if document.features is None:
        raise StreamError("invalid_feature", "features: a FeatureCollection needs a list of features")
    return _in_degrees(map(bytes, document.features), crs.within(document.crs))


def _in_pieces(body: bytes, crs: SourceCrs) -> Iterator[RawFeature] | None:
    """The features of a large FeatureCollection; None if it is no usual one, which is for others to find out."""
    pieces = cut_collection(body)
    if pieces is None:
        return None
    try:
        around = _decode_document(pieces.around)
        if isinstance(around, list) or around.type != "FeatureCollection" or around.features != []:
            return None
        features = [bytes(feature) for piece in pieces.features for feature in _decode_features(b"[%b]" % piece)]
    except _UNREADABLE:
        return None
    return _in_degrees(features, crs.within(around.crs))


def without_preamble(body: bytes) -> bytes:
    """What follows a byte order mark, blanks and comment lines (`//`, `#`), which some programs write before JSON."""
    preamble = _PREAMBLE.match(body)
    return body[preamble.end() :] if preamble is not None and preamble.end() else body


def _in_degrees(features: Iterable[bytes], crs: SourceCrs) -> Iterator[RawFeature]:
    return iter(features) if crs == DEGREES else iter(crs.texts_in_wgs84(features))


def _split_leniently(body: bytes, crs: SourceCrs) -> list[bytes] | None:
    """The features of a document that is JSON except for NaN, Infinity and halves of surrogate pairs; None if it is not."""
    if not (_NO_JSON_NUMBER.search(body) or half_surrogate_pair(body)):
        return None
    late = {} if crs.given else late_crs(lambda: [body], len(body))
    records = list(split_documents([body], len(body), crs, late))
    features = [record for record in records if not isinstance(record, StreamError)]
    return features if len(features) == len(records) else None


# -- lines ------------------------------------------------------------------------------------------------------------------------------


def split_lines(chunks: Iterable[bytes], max_line: int) -> Iterator[list[RawFeature]]:
    """The records of newline-delimited JSON or of an RFC 8142 text sequence, chunk by chunk.

    For each chunk come the records that it completes, in the end the last one. Blank records are left out. `too_large`
    comes in the place of a record longer than `max_line` bytes.
    """
    splitter = LineSplitter(max_line)
    for chunk in chunks:
        yield splitter.feed(chunk)
    yield splitter.end()


class LineSplitter:
    """`split_lines` for callers that receive their chunks with `await`.

    RFC 8142 is recognised by its first byte, 0x1E.
    """

    def __init__(self, max_line: int) -> None:
        self._max_line = max_line
        self._pending = bytearray()
        self._size = 0
        self._separator: bytes | None = None

    def feed(self, chunk: bytes) -> list[RawFeature]:
        """The records that `chunk` completes."""
        if self._separator is None:
            chunk = self._recognise(chunk)
            if self._separator is None:
                return []
        *whole, rest = chunk.split(self._separator)
        records: list[RawFeature] = []
        for piece in whole:
            self._append(piece)
            records += self.end()
        self._append(rest)
        return records

    def end(self) -> list[RawFeature]:
        """The record that ends here, if there is one."""
        size, record = self._size, bytes(self._pending)
        self._pending.clear()
        self._size = 0
        if size > self._max_line:
            return [StreamError("too_large", f"the record is longer than the {self._max_line} bytes allowed")]
        record = record.strip(_BLANK)
        if record[:1] == b"[" or b'"FeatureCollection"' in record:
            return _features_of_line(record)
        return [record] if record else []

    def _recognise(self, chunk: bytes) -> bytes:
        """What remains of a chunk behind the byte order mark.

        Sets the separator, unless the first character is not there yet.
        """
        start = (bytes(self._pending) + chunk).lstrip(_BLANK)
        self._pending.clear()
        if len(start) < len(codecs.BOM_UTF8) and codecs.BOM_UTF8.startswith(start):
            self._pending += start
            return b""
        start = start.removeprefix(codecs.BOM_UTF8)
        self._separator = _SEPARATOR if start.lstrip(_BLANK).startswith(_SEPARATOR) else b"\n"
        return start

    def _append(self, piece: bytes) -> None:
        self._size += len(piece)
        if self._size > self._max_line:
            self._pending.clear()
        else:
            self._pending += piece


def _features_of_line(record: bytes) -> list[RawFeature]:
    """The features of a collection or list on one line; the record itself if it only mentions one."""
    try:
        document = _decode_document(record)
    except _UNREADABLE:
        return [record]
    if isinstance(document, _Document) and document.type != "FeatureCollection":
        return [record]
    try:
        return list(split_features(record))
    except StreamError as error:
        return [error]
