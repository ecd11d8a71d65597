"""Reads GeoJSON documents of any size, or many behind each other, in the memory of one value and one chunk.

A FeatureCollection may be larger than memory, so it is never decoded whole: the standard library's decoder reads one value after the
other in a window of text that slides over the document. A collection may name its CRS behind its features: `late_crs` finds that in a
first pass, for those who can read the text twice.
"""

from __future__ import annotations

import codecs
import json
import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import count
from typing import Any

import msgspec

from streaming.core.coordinates import DEPTHS
from streaming.core.errors import StreamError

from .source_crs import SourceCrs

RawFeature = bytes | StreamError
"""The text of one feature, or the refusal of a record that cannot be one."""

PROJECTED_TOGETHER = 500
DEGREES = SourceCrs()
GEOMETRY_TYPES = (*DEPTHS, "GeometryCollection")

_MENTION = b'"crs"'
_TOO_LATE = "the member stands behind the features, which were read as degrees; publish them again and name the CRS (--crs)"
_scan = json.JSONDecoder().raw_decode
_skip_blanks = re.compile(r"[ \t\r\n]*").match
_skip_to_document = re.compile("[ \t\r\n\x1e\ufeff]*").match

LateCrs = Mapping[int, Any]
"""Number of a document, from 0, to its member `crs`, if that stands behind the features."""


def wrong_type(kind: Any) -> str:
    """Why a document or record of this type is refused, and what to do."""
    if kind in GEOMETRY_TYPES:
        return f'type: a bare {kind} has no id to be stored under; send {{"type": "Feature", "id": …, "geometry": …, "properties": …}}'
    return f"type: must be 'Feature' or 'FeatureCollection', not {kind!r:.40}"


def split_documents(chunks: Iterable[bytes], max_value: int, crs: SourceCrs = DEGREES, late: LateCrs | None = None) -> Iterator[RawFeature]:
    """The features of FeatureCollections, lists and Features that follow each other, in degrees.

    `max_value` bounds the text of one value in characters. What cannot be read ends the input with a StreamError, as does a CRS behind
    the features that is not in `late`.
    """
    window = _Window(chunks, max_value)
    try:
        for number in count():
            if not window.peek(_skip_to_document):
                return
            yield from _document(window, crs, (late or {}).get(number))
    except StreamError as error:
        yield error
    except (ValueError, RecursionError) as error:
        yield StreamError("invalid_feature", f"the document cannot be read from here on: {_reason(error)}")


def _reason(error: Exception) -> str:
    """Without the line and column of a JSONDecodeError: they count from somewhere inside the document."""
    return error.msg.removesuffix(" starting at") if isinstance(error, json.JSONDecodeError) else str(error)


def late_crs(text: Callable[[], Iterable[bytes]], max_value: int) -> LateCrs:
    """What the documents of a text say of their CRS behind their features, as far as they can be read.

    `text` begins to read it; it is read twice if it has the word at all.
    """
    found: dict[int, Any] = {}
    if not _mentions_crs(text()):
        return found
    window = _Window(text(), max_value)
    equal: dict[bytes, Any] = {}  # of many documents, in the memory of one
    try:
        for number in count():
            if not window.peek(_skip_to_document):
                break
            crs = _skip_document(window)
            if crs is not None:
                found[number] = equal.setdefault(msgspec.json.encode(crs), crs)
    except (ValueError, RecursionError):
        pass  # said by who reads the features
    return found


def _mentions_crs(chunks: Iterable[bytes]) -> bool:
    end = b""
    for chunk in chunks:
        if _MENTION in end + chunk:
            return True
        end = chunk[1 - len(_MENTION) :]
    return False


def _skip_document(window: _Window) -> Any:
    """Read one document for nothing but the member `crs` behind its features, which is returned."""
    if window.peek() == "[":
        deque(_elements(window), maxlen=0)
        return None
    late = None
    passed = False
    for name in _members(window):
        if name == "features" and window.peek() == "[":
            deque(_elements(window), maxlen=0)
            passed = True
        else:
            value = window.value()[0]
            late = value if name == "crs" and passed else late
    return late


def _document(window: _Window, crs: SourceCrs, late: Any) -> Iterator[RawFeature]:
    """The features of one document; ValueError if it is none, StreamError if its CRS is not known or comes too late."""
    if window.peek() == "[":
        yield from _projected(_elements(window), crs)
        return
    members: dict[str, Any] = {}
    read_as = None
    for name in _members(window):
        if name == "features" and members.get("type") in (None, "FeatureCollection"):
            read_as = crs.within(members.get("crs") if late is None else late)
            yield from _projected(_elements(window), read_as)
            members["type"] = "FeatureCollection"
        else:
            members[name] = window.value()[0]
    if members.get("type") == "Feature":
        yield from _projected(iter([json.dumps(members).encode()]), crs)
    elif members.get("type") != "FeatureCollection":
        raise StreamError("invalid_feature", wrong_type(members.get("type")))
    elif read_as is not None and read_as != crs.within(members.get("crs")):
        raise StreamError("invalid_crs", f"crs: {_TOO_LATE}")


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
