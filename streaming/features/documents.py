"""GeoJSON documents of any size, read feature by feature.

A FeatureCollection may be larger than memory, so it is never decoded whole: the standard library's decoder is asked for one value after
the other, in a window of text that slides over the document. What cannot be read ends the document with the StreamError that says so.
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterable, Iterator
from typing import Any

from streaming.core.errors import StreamError

_scan = json.JSONDecoder().raw_decode
_blank = re.compile(r"[ \t\r\n]*").match
_between = re.compile("[ \t\r\n\x1e\ufeff]*").match


def iter_documents(chunks: Iterable[bytes], max_value: int) -> Iterator[bytes | StreamError]:
    """The features of FeatureCollections and Features that follow each other. `max_value` bounds the text of one value in characters."""
    window = _Window(chunks, max_value)
    count = 0
    try:
        while window.peek(_between):
            for feature in _document(window):
                yield feature
                count += 1
    except (ValueError, RecursionError) as error:
        yield StreamError("invalid_feature", f"what follows after {count:,} features cannot be read: {error}")


def _document(window: _Window) -> Iterator[bytes]:
    """The features of one document; ValueError if it is none."""
    members: dict[str, Any] = {}
    for name in _members(window):
        if name == "features" and members.get("type") in (None, "FeatureCollection"):
            yield from _elements(window)
            members["type"] = "FeatureCollection"
        else:
            members[name] = window.value()[0]
    if members.get("type") == "Feature":
        yield json.dumps(members).encode()
    elif members.get("type") != "FeatureCollection":
        raise ValueError(f"the type is {members.get('type')!r:.40}, neither 'Feature' nor 'FeatureCollection'")


def _members(window: _Window) -> Iterator[str]:
    """The names of an object's members; whoever asks for the next one has taken the value."""
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
    """The part of a text that is being read. Bytes that are not UTF-8 survive as surrogates, so that only their feature is refused."""

    def __init__(self, chunks: Iterable[bytes], max_value: int) -> None:
        self._chunks = iter(chunks)
        self._max_value = max_value
        self._decode = codecs.getincrementaldecoder("utf-8")("surrogateescape").decode
        self._text = ""
        self._at = 0
        self._ended = False

    def peek(self, skip: Any = _blank) -> str:
        """The next character that is not blank, "" at the end."""
        while True:
            self._at = skip(self._text, self._at).end()
            if self._at < len(self._text):
                return self._text[self._at]
            if self._ended:
                return ""
            self._slide()

    def expect(self, characters: str) -> str:
        """Take the next character, which must be one of these."""
        found = self.peek()
        if not found or found not in characters:
            raise ValueError(f"expected {' or '.join(map(repr, characters))}, found {found!r}" if found else "it ends in the middle")
        self._at += 1
        return found

    def value(self) -> tuple[Any, bytes]:
        """Take the value that starts here: decoded, and its text."""
        while True:
            try:
                value, end = _scan(self._text, self._at)
            except ValueError:
                if self._ended or len(self._text) - self._at > self._max_value:
                    raise
            else:
                if end < len(self._text) or self._ended:  # a number at the end of the window may go on
                    raw = self._text[self._at : end].encode("utf-8", "surrogateescape")
                    self._at = end
                    return value, raw
            self._slide()

    def _slide(self) -> None:
        """Let go of what was read, and read at least as much as is left: a large value is not tried for every chunk."""
        parts = [self._text[self._at :]]
        wanted = max(1, len(parts[0]))
        while wanted > 0 and not self._ended:
            chunk = next(self._chunks, b"")
            parts.append(self._decode(chunk, final=not chunk))
            wanted -= len(parts[-1])
            self._ended = not chunk
        self._text, self._at = "".join(parts), 0
