"""Content negotiation: `f=` in the query, else `Accept` with its qualities (RFC 9110). Without either it is JSON."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from django.http import HttpRequest

from processes.descriptions.media_types import JSON, essence, normalised

HTML = "text/html"
PROBLEM = "application/problem+json"
LONGEST = 4000
MOST_RANGES = 100
"""Of a header: what is beyond is not read."""


def quality(accept: str, media_type: str) -> float:
    """How much a client wants a media type: 0 (not at all) to 1. The most specific range that fits decides."""
    best = (-1, 0.0)
    for wanted, q in _ranges(accept if accept.strip() else "*/*"):
        specific = _fits(wanted, media_type)
        if specific > best[0]:
            best = (specific, q)
    return best[1]


def names(accept: str, media_type: str) -> bool:
    """Whether a client names a media type itself, and wants it."""
    return any(essence(wanted) == media_type and q > 0 for wanted, q in _ranges(accept))


def accept_of(request: HttpRequest) -> str:
    """The header `Accept`."""
    return request.headers.get("Accept", "")


def only_json(request: HttpRequest) -> bool:
    """Whether a client takes JSON and nothing else."""
    if request.GET.get("f") == "json":
        return True
    accept = accept_of(request)
    ranges = [essence(wanted) for wanted, q in _ranges(accept) if q > 0 and wanted]
    return bool(ranges) and all(each == JSON or each.endswith("+json") for each in ranges)


def choose(accept: str, offered: Sequence[str]) -> str | None:
    """The media type that a client wants most, of equal ones the first; None: it takes none of them."""
    best = max(offered, key=lambda each: quality(accept, each))
    return best if quality(accept, best) > 0 else None


def _ranges(accept: str) -> tuple[tuple[str, float], ...]:
    return _read_ranges(accept[:LONGEST])


@lru_cache(100)
def _read_ranges(accept: str) -> tuple[tuple[str, float], ...]:
    return tuple(map(_range, accept.split(",")[:MOST_RANGES]))


def _range(part: str) -> tuple[str, float]:
    pieces = part.split(";")
    q = 1.0
    kept = [pieces[0]]
    for each in pieces[1:]:
        name, _, value = each.partition("=")
        if name.strip().lower() == "q":
            try:
                q = min(max(float(value), 0.0), 1.0)
            except ValueError:
                q = 1.0
        else:
            kept.append(each)
    return normalised(";".join(kept)), q


def _fits(wanted: str, media_type: str) -> int:
    """How specifically a range fits: 0 for `*/*`, 1 for `text/*`, 2 for a type, 3 with parameters, -1 not at all."""
    kind = essence(wanted)
    if kind in ("*/*", "*"):
        return 0
    if kind.endswith("/*"):
        return 1 if essence(media_type).startswith(kind[:-1]) else -1
    if kind != essence(media_type):
        return -1
    if ";" not in wanted:
        return 2
    return 3 if wanted == normalised(media_type) else -1
