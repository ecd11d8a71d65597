"""Operations: the changes of the folder as clients see them, through the filter of their rights and patterns."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import msgspec
from pathspec import GitIgnoreSpec

from streaming.core.bbox import Box
from streaming.core.deliveries import Delivery
from streaming.core.errors import StreamError
from streaming.core.items import Item
from streaming.core.lru import LRU

from .metadata import note_of, record_of
from .paths import is_below

WIRE_CODES = {"invalid_path": "path", "precondition_failed": "changed", "folder_full": "quota"}
"""What errors are called where files are spoken of, if it is something else."""
MAX_PATTERN = 256
MOST_ANYWHERE = 2
"""Parts `**` of a pattern. The time that a comparison takes grows as the number of ways in which they can be placed, and so it does with
parts that have two stars: there may be one of these."""
MOST_WIDE = 4
"""Patterns of one client with either: each may take some milliseconds, for a path made for that."""
REMEMBERED = 512
"""Paths whose answer a filter keeps."""


class PathFilter:
    """Which paths a client follows: below some directories (None: anywhere), and of these what its patterns match."""

    boxes: tuple[Box, ...] | None = None
    costly = False
    plain = False

    def __init__(self, tops: tuple[str, ...] | None = None, patterns: tuple[str, ...] = ()) -> None:
        """Patterns are gitignore's: the last one that matches decides, `!` takes out; none at all match everything."""
        self.key = ("files", tops, patterns)
        self.patterns = patterns
        self._tops = tops
        self._spec = compile_patterns(patterns) if patterns else None
        self._answers: LRU[str, bool] = LRU(REMEMBERED)

    def matches(self, item: Item) -> bool:
        """Whether an item of the feed is wanted."""
        return self.allows(item.key, self._spec is not None and record_of(item).directory)

    def allows(self, path: str, directory: bool = False) -> bool:
        """Whether a path is wanted."""
        if self._tops is not None and not any(is_below(path, top) for top in self._tops):
            return False
        if self._spec is None:
            return True
        name = f"{path}/" if directory else path
        answer = self._answers.get(name)
        if answer is None:
            answer = self._spec.match_file(name)
            self._answers.put(name, answer)
        return answer


def compile_patterns(patterns: Sequence[str]) -> GitIgnoreSpec:
    """`StreamError("bad_request")` for what is no pattern, or would take long."""
    if sum(map(_is_wide, patterns)) > MOST_WIDE:
        raise StreamError("bad_request", f"a client may have {MOST_WIDE} patterns with two parts ** or with two stars in one part")
    try:
        return GitIgnoreSpec.from_lines(patterns)
    except (ValueError, re.error) as error:
        raise StreamError("bad_request", f"a pattern cannot be read: {error}") from None


def _is_wide(pattern: str) -> bool:
    """Whether there may be many ways in which a path matches it. `StreamError("bad_request")` if there may be too many."""
    if not 0 < len(pattern) <= MAX_PATTERN:
        raise StreamError("bad_request", f"a pattern is text of 1 to {MAX_PATTERN} characters")
    parts = pattern.removeprefix("!").split("/")
    anywhere = parts[:-1].count("**")
    several = [count for part in parts if part != "**" and (count := part.count("*")) > 1]  # "***" is three of them, not one
    if several not in ([], [2]) or anywhere > MOST_ANYWHERE:
        raise StreamError("bad_request", f"a pattern may have one part with two stars, and {MOST_ANYWHERE} parts **")
    return bool(several) or anywhere > 1


def wire_code(error: StreamError) -> str:
    """What an error is called in messages and answers about files."""
    return WIRE_CODES.get(error.code, error.code)


def operation_of(delivery: Delivery, filter: PathFilter, detailed: bool = False) -> tuple[dict[str, Any], str | None] | None:
    """The operation, as an object with one key, and the client that made it; None for the first half of a move.

    A move into what the filter shows is a Create, one out of it a Delete. `detailed` adds the metadata to a Move.
    """
    note = note_of(delivery.reason)
    if delivery.item is None:
        if note.moved_to is not None and filter.allows(note.moved_to, note.directory):
            return None
        return {"Delete": {"path": delivery.key}}, note.source
    record = record_of(delivery.item)
    metadata = record.metadata(delivery.key)
    if note.moved_from is not None and filter.allows(note.moved_from, record.directory):
        ends = {"from": note.moved_from, "to": delivery.key}
        return {"Move": {**ends, "metadata": metadata} if detailed else ends}, note.source
    return {"Create" if delivery.kind == "added" else "Update": {"metadata": metadata}}, note.source


def operation_message(delivery: Delivery, filter: PathFilter, numbered: bool) -> bytes | None:
    """The message that announces a change. `numbered`: with its number in the log, for clients that asked for that."""
    found = operation_of(delivery, filter, detailed=numbered)
    if found is None:
        return None
    operation, source = found
    message: dict[str, Any] = {"type": "FileOperation", "operation": operation, "source_client": source}
    if numbered and delivery.seq is not None:
        message["seq"] = delivery.seq
    return msgspec.json.encode(message)
