"""RFC 3339 times and OGC intervals as whole microseconds since 1970.

Every comparison of times in the core is one of integers: no time zones, no rounding. Bounds of an interval are inclusive; an open
end is an infinity, which compares with integers as one expects. A date without a time stands for all of its day (UTC).
"""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime, timedelta

from streaming.core.errors import StreamError

Interval = tuple[float, float]
"""(first, last) microseconds since 1970, both inclusive, whole numbers or ∓infinity."""

_DATE = re.compile(r"\d{4}-\d\d-\d\d")
_DATE_TIME = re.compile(r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d:)(\d\d)(?:\.(\d+))?([Zz]|[+-]\d\d:\d\d)")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_DAY = 86_400_000_000
_OPEN = ("", "..")


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
    """The time a property stands for: an RFC 3339 text, a date (its first moment) or milliseconds since 1970; None if it is no time."""
    if isinstance(value, str):
        try:
            return _instant(value)
        except ValueError:
            return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return round(value * 1000)


def _day_or_instant(text: str) -> Interval:
    try:
        first = _instant(text)
    except ValueError as error:
        raise StreamError("invalid_datetime", f"{text[:64]!r} is not a time: {error}") from None
    return first, first + _DAY - 1 if _DATE.fullmatch(text) else first


def _instant(text: str) -> int:
    if _DATE.fullmatch(text):
        return (datetime.fromisoformat(text).replace(tzinfo=UTC) - _EPOCH) // _MICROSECOND
    parts = _DATE_TIME.fullmatch(text)
    if parts is None:
        raise ValueError("expected RFC 3339 with a time zone, such as 2018-08-01T05:00:00Z, or a date")
    day, clock, seconds, fraction, zone = parts.groups()
    leap = seconds == "60"
    moment = datetime.fromisoformat(f"{day}T{clock}{'59' if leap else seconds}{'+00:00' if zone in 'Zz' else zone}")
    whole = (moment - _EPOCH) // _MICROSECOND + (1_000_000 if leap else 0)
    return whole + int((fraction or "0")[:6].ljust(6, "0"))
