"""Times and OGC intervals as whole microseconds since 1970: one reading for features, filters, CQL2 and recordings.

Every comparison of times in the core is one of integers: no time zones, no rounding. Bounds of an interval are inclusive; an open
end is an infinity, which compares with integers as one expects. A date without a time stands for all of its day (UTC). The map
reads times by the same table (`map/times.js`); the vectors of both are in `tests/core/times.json`.
"""

from __future__ import annotations

import math
import re
from datetime import date, datetime

from streaming.core.errors import StreamError

Interval = tuple[float, float]
"""(first, last) microseconds since 1970, both inclusive, whole numbers or ∓infinity."""

SECONDS_BELOW = 1e11
"""A smaller number is seconds (this many are the year 5138), a larger one milliseconds (this many are 1973)."""

_TIME = re.compile(
    r"""\s* (\d{4})([-/]?)(\d\d)\2(\d\d)
    (?: (?:[Tt]|[ ]+) (\d\d):?(\d\d)(?: :?(\d\d)(?:[.,](\d+))? )? (?: [ ]?(?: ([Zz]|UTC) | ([+-])(\d\d)(?: :?(\d\d) )? ) )? )? \s*""",
    re.VERBOSE | re.ASCII,
)
_EARLIEST = -62_135_596_800_000  # milliseconds to the year 1
_LATEST = 253_402_300_800_000  # and to the year 10000
_EPOCH = date(1970, 1, 1).toordinal()
_MIDNIGHT = datetime(1970, 1, 1)
_DAY = 86_400_000_000
_OPEN = ("", "..")
_EXPECTED = "expected RFC 3339 such as 2018-08-01T05:00:00Z (without a zone it is UTC), or a date"


def parse_interval(text: str) -> Interval:
    """Read an instant, a date, or `start/end` where either end may be open (`..` or empty). StreamError invalid_datetime."""
    if not isinstance(text, str):
        raise StreamError("invalid_datetime", "datetime must be a text such as 2018-08-01T05:00:00Z/..")
    start, slash, end = (part.strip() for part in text.partition("/"))
    if not slash:
        return _day_or_instant(start)
    first = -math.inf if start in _OPEN else _day_or_instant(start)[0]
    last = math.inf if end in _OPEN else _day_or_instant(end)[1]
    if first > last:
        raise StreamError("invalid_datetime", f"the interval {text!r} ends before it starts")
    return first, last


def microseconds(value: object) -> int | None:
    """The time a property stands for; None if it is no time.

    A text is an RFC 3339 time, also without zone (UTC), seconds or separators, or a date (its first moment). A number is seconds or
    milliseconds since 1970.
    """
    if isinstance(value, str):
        try:
            return _instant(value)
        except ValueError:
            return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not _EARLIEST <= value < _LATEST:
        return None
    return round(value * (1_000_000 if -SECONDS_BELOW < value < SECONDS_BELOW else 1000))


def _day_or_instant(text: str) -> Interval:
    try:
        first = _instant(text)
    except ValueError as error:
        raise StreamError("invalid_datetime", f"{text[:64]!r} is not a time: {error}") from None
    return first, first + _DAY - 1 if len(text) <= len("2018-08-01") else first


def _instant(text: str) -> int:
    if text[19:] == "Z" and text[4] == text[7] == "-" and text[10] in "T " and text[13] == text[16] == ":":  # nearly all, made fast
        try:
            since = datetime.fromisoformat(text[:19]) - _MIDNIGHT
            return since.days * _DAY + since.seconds * 1_000_000
        except ValueError:
            pass
    parts = _TIME.fullmatch(text)
    if parts is None:
        raise ValueError(_EXPECTED)
    year, _, month, day, hour, minute, second, fraction, _, sign, zone_hour, zone_minute = parts.groups(default="0")
    days = date(int(year), int(month), int(day)).toordinal() - _EPOCH
    time = (int(hour) * 60 + int(minute)) * 60 + int(second)
    if (
        int(minute) > 59
        or int(second) > 60
        or time > 86_400
        or (int(fraction) and hour == "24")
        or int(zone_hour) > 23
        or int(zone_minute) > 59
    ):
        raise ValueError("there is no such time of day")
    offset = (int(zone_hour) * 60 + int(zone_minute)) * (-60 if sign == "-" else 60)
    return days * _DAY + (time - offset) * 1_000_000 + int(fraction[:6].ljust(6, "0"))
