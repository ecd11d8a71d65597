"""Splits GeoJSON text into features, without decoding them.

The text is a document held in memory, a document of any size, lines, or a text sequence. One bad record never costs its
neighbours: a record that is too long comes out, in its place, as the StreamError that refuses it, so the caller can
count records. Input of any length is split in the memory of one record and one chunk.
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from streaming.core.coordinates import DEPTHS
from streaming.core.errors import StreamError
from streaming.core.json_values import half_surrogate_pair

from .source_crs import SourceCrs

RawFeature = bytes | StreamError
"""The text of one feature, or the refusal of a record that cannot be one."""

PROJECTED_TOGETHER = 500
DEGREES = SourceCrs()
GEOMETRY_TYPES = (*DEPTHS, "GeometryCollection")

_UNREADABLE = (msgspec.DecodeError, UnicodeError, RecursionError)
_TOO_LATE = "the member stands behind the features, which were read as degrees; publish them again and name the CRS (--crs, ?crs=)"
_PREAMBLE = re.compile(rb"(?:\xef\xbb\xbf|[ \t\r\n])*(?:(?://|#)[^\n]*\n[ \t\r\n]*)*")
_NO_JSON_NUMBER = re.compile(rb"NaN|Infinity")
_SEPARATOR = b"\x1e"
_BLANK = b" \t\r\n"
_scan = json.JSONDecoder().raw_decode
_skip_blanks = re.compile(r"[ \t\r\n]*").match
_skip_to_document = re.compile("[ \t\r\n\x1e\ufeff]*").match


class LateCrs(StreamError):
    """A document names its CRS when its features have been read as degrees."""

    def __init__(self, crs: SourceCrs) -> None:
        super().__init__("invalid_crs", f"crs: {_TOO_LATE}")
        self.crs = crs


class _Document(msgspec.Struct):
    type: str | None = None
    features: list[msgspec.Raw] | None = None
    crs: Any = None


_decode_document = msgspec.json.Decoder(_Document | list[msgspec.Raw]).decode


def split_features(body: bytes, crs: SourceCrs = DEGREES) -> Iterator[RawFeature]:
    """The features of one JSON document, in degrees: a Feature, a FeatureCollection or a list of features.

    StreamError invalid_feature or invalid_crs.

    Many libraries write NaN and Infinity, which JSON does not have, or cut an emoji into half a surrogate pair. Such a
    feature comes out as it is, and is refused alone later.
    """
    body = without_preamble(body)
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


def without_preamble(body: bytes) -> bytes:
    """What follows a byte order mark, blanks and comment lines (`//`, `#`), which some programs write before JSON."""
    return _PREAMBLE.sub(b"", body, count=1)


def wrong_type(kind: Any) -> str:
    """Why a document or record of this type is refused, and what to do."""
    if kind in GEOMETRY_TYPES:
        return f'type: a bare {kind} has no id to be stored under; send {{"type": "Feature", "id": …, "geometry": …, "properties": …}}'
    return f"type: must be 'Feature' or 'FeatureCollection', not {kind!r:.40}"


def _in_degrees(features: Iterable[bytes], crs: SourceCrs) -> Iterator[RawFeature]:
    return iter(features) if crs == DEGREES else iter(crs.texts_in_wgs84(features))


def _split_leniently(body: bytes, crs: SourceCrs) -> list[bytes] | None:
    """The features of a document that is JSON except for NaN, Infinity and halves of surrogate pairs; None if it is not."""
    if not (_NO_JSON_NUMBER.search(body) or half_surrogate_pair(body)):
        return None
    records = list(split_documents([body], len(body), crs))
    if records and isinstance(last := records[-1], LateCrs):
        records = list(split_documents([body], len(body), last.crs))
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


# -- documents of any size --------------------------------------------------------------------------------------------------------------


def split_documents(chunks: Iterable[bytes], max_value: int, crs: SourceCrs = DEGREES) -> Iterator[RawFeature]:
    """The features of FeatureCollections, lists and Features that follow each other, in degrees.

    `max_value` bounds the text of one value in characters. A FeatureCollection may be larger than memory, so it is
    never decoded whole: the standard library's decoder reads one value after the other in a window of text that slides
    over the document. What cannot be read ends the input with a StreamError.
    """
    window = _Window(chunks, max_value)
    count = 0
    try:
        while window.peek(_skip_to_document):
            for feature in _document(window, crs):
                yield feature
                count += 1
    except StreamError as error:
        yield error
    except (ValueError, RecursionError) as error:
        yield StreamError("invalid_feature", f"what follows after {count:,} features cannot be read: {error}")


def _document(window: _Window, crs: SourceCrs) -> Iterator[RawFeature]:
    """The features of one document; ValueError if it is none, StreamError if its CRS is not known or comes too late."""
    if window.peek() == "[":
        yield from _projected(_elements(window), crs)
        return
    members: dict[str, Any] = {}
    read_as = None
    for name in _members(window):
        if name == "features" and members.get("type") in (None, "FeatureCollection"):
            read_as = crs.within(members.get("crs"))
            yield from _projected(_elements(window), read_as)
            members["type"] = "FeatureCollection"
        else:
            members[name] = window.value()[0]
    if members.get("type") == "Feature":
        yield from _projected(iter([json.dumps(members).encode()]), crs)
    elif members.get("type") != "FeatureCollection":
        raise StreamError("invalid_feature", wrong_type(members.get("type")))
    elif read_as is not None and read_as != crs.within(members.get("crs")):
        raise LateCrs(crs.within(members.get("crs")))


def _projected(features: Iterator[bytes], crs: SourceCrs) -> Iterator[RawFeature]:
    """The features in degrees, some hundred projected together. What precedes an error comes before it."""
    if crs == DEGREES:
        yield from features
        return
    batch: list[bytes] = []
    try:
        for feature in features:
            batch.append(feature)
            if len(batch) == PROJECTED_TOGETHER:
                yield from crs.texts_in_wgs84(batch)
                batch = []
    except (ValueError, RecursionError):
        yield from crs.texts_in_wgs84(batch)
        raise
    yield from crs.texts_in_wgs84(batch)


def _members(window: _Window) -> Iterator[str]:
    """The names of an object's members. The caller reads the value of one before it asks for the next."""
    window.expect("{")
    if window.peek() == "}":
        window.expect("}")
        return
    while True:
        name, _ = window.value()
        window.expect(":")
        window.peek()
        yield str(name)
        if window.expect(",}") == "}":
            return
        window.peek()


def _elements(window: _Window) -> Iterator[bytes]:
    """The texts of a list's elements."""
    window.expect("[")
    if window.peek() == "]":
        window.expect("]")
        return
    while True:
        yield window.value()[1]
        if window.expect(",]") == "]":
            return
        window.peek()


class _Window:
    """The part of a text that is being read.

    Bytes that are not UTF-8 become surrogates, so that only their own feature is refused.
    """

    def __init__(self, chunks: Iterable[bytes], max_value: int) -> None:
        self._chunks = iter(chunks)
        self._max_value = max_value
        self._decode = codecs.getincrementaldecoder("utf-8")("surrogateescape").decode
        self._text = ""
        self._position = 0
        self._ended = False

    def peek(self, skip: Any = _skip_blanks) -> str:
        """The next character that is not blank, "" at the end."""
        while True:
            self._position = skip(self._text, self._position).end()
            if self._position < len(self._text):
                return self._text[self._position]
            if self._ended:
                return ""
            self._slide()

    def expect(self, characters: str) -> str:
        """Read the next character, which must be one of these."""
        found = self.peek()
        if not found or found not in characters:
            raise ValueError(f"expected {' or '.join(map(repr, characters))}, found {found!r}" if found else "it ends in the middle")
        self._position += 1
        return found

    def value(self) -> tuple[Any, bytes]:
        """Read the value that starts here: decoded, and its text."""
        while True:
            try:
                value, end = _scan(self._text, self._position)
            except ValueError:
                if self._ended or len(self._text) - self._position > self._max_value:
                    raise
            else:
                if end < len(self._text) or self._ended:  # a number at the end of the window may go on
                    raw = self._text[self._position : end].encode("utf-8", "surrogateescape")
                    self._position = end
                    return value, raw
            self._slide()

    def _slide(self) -> None:
        """Drop the text before the position, and read on.

        At least as much is read as is left, so that a long value is not scanned again for each chunk.
        """
        parts = [self._text[self._position :]]
        missing = max(1, len(parts[0]))
        while missing > 0 and not self._ended:
            chunk = next(self._chunks, b"")
            parts.append(self._decode(chunk, final=not chunk))
            missing -= len(parts[-1])
            self._ended = not chunk
        self._text, self._position = "".join(parts), 0
