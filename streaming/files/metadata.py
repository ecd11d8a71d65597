"""The metadata of one file: path, size, hash, time. The form on the wire, and the shorter one in the feed.

Times are nanoseconds since 1970 inside, and RFC 3339 in UTC with the fewest exact digits outside.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import msgspec

from streaming.core.items import Item

HASH = re.compile(r"[0-9a-f]{64}")
MAX_SIZE = 2**64 - 1
_TIME = re.compile(r"(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?(?:[Zz]|([+-])(\d\d):?(\d\d))")
_SECOND = 1_000_000_000
_FIRST, _LAST = -62_135_596_800 * _SECOND, 253_402_300_800 * _SECOND - 1


class FileMetadata(msgspec.Struct, frozen=True):
    """One file or directory, as messages and answers have it. A directory has no size and no hash."""

    path: str
    size: int
    hash: str
    modified: str
    is_directory: bool


class FileRecord(msgspec.Struct, frozen=True, array_like=True):
    """One file or directory, as the feed has it. `modified` is nanoseconds; `inode` 0 where the store has none."""

    size: int
    hash: str
    modified: int
    directory: bool = False
    inode: int = 0

    def metadata(self, path: str) -> FileMetadata:
        """The form on the wire."""
        return FileMetadata(path, self.size, self.hash, format_time(self.modified), self.directory)


class ChangeNote(msgspec.Struct, frozen=True, array_like=True):
    """What the log says of a change besides the record: which client made it, and the other end of a move."""

    source: str | None = None
    moved_from: str | None = None
    moved_to: str | None = None
    directory: bool = False


encode = msgspec.json.encode
decode_record = msgspec.json.Decoder(FileRecord).decode
_decode_note = msgspec.json.Decoder(ChangeNote).decode
NO_NOTE = ChangeNote()


def record_of(item: Item) -> FileRecord:
    """The record that an item of the feed holds, decoded once."""
    record: FileRecord | None = item.forms.get(FileRecord)
    if record is None:
        record = item.forms[FileRecord] = decode_record(item.value)
    return record


def note_of(reason: str | None) -> ChangeNote:
    """The note of a change; an empty one for what has none (the state was read anew)."""
    return _decode_note(reason) if reason is not None and reason.startswith("[") else NO_NOTE


def format_time(nanoseconds: int) -> str:
    """`2024-01-15T10:30:00Z`, with 3, 6 or 9 digits of a fraction where it has one. What has no date in four digits becomes the nearest."""
    nanoseconds = min(max(nanoseconds, _FIRST), _LAST)
    seconds, fraction = divmod(nanoseconds, _SECOND)
    text = (datetime(1970, 1, 1) + timedelta(seconds=seconds)).isoformat()
    if not fraction:
        return f"{text}Z"
    digits = f"{fraction:09}"
    while digits.endswith("000"):
        digits = digits[:-3]
    return f"{text}.{digits}Z"


def parse_time(text: Any) -> int | None:
    """Nanoseconds of a time with an offset; None for what is no such time."""
    found = _TIME.fullmatch(text) if isinstance(text, str) else None
    if found is None:
        return None
    *parts, fraction, sign, hours, minutes = found.groups()
    offset = timedelta(hours=int(hours or 0), minutes=int(minutes or 0))
    try:
        zone = timezone(-offset if sign == "-" else offset) if sign else UTC
        moment = datetime(*map(int, parts), tzinfo=zone)  # type: ignore[misc,arg-type]
        past = moment - datetime(1970, 1, 1, tzinfo=UTC)
    except (ValueError, OverflowError):
        return None
    return (past.days * 86_400 + past.seconds) * _SECOND + int((fraction or "").ljust(9, "0"))
