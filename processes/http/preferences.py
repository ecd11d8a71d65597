"""The header `Prefer` (RFC 7240): several headers or one with commas, in any case; what is not known is ignored."""

from __future__ import annotations

import re
from dataclasses import dataclass

_PREFERENCES = re.compile(r'(?:[^,"]++|"(?:[^"\\]++|\\.)*+(?:"|\\?$))++')
"""Between commas outside of quotes. What was matched is never matched again in another way, so that a header takes as long as it is."""
_LONGEST_WAIT = 10_000_000


@dataclass(frozen=True, slots=True)
class Preferences:
    """What a client prefers of what is known here."""

    respond_async: bool = False
    wait: int | None = None
    """Seconds."""
    returned: str = ""
    """`return=minimal` or `return=representation`: links in place of large outputs, or the outputs themselves."""
    strict: bool = False
    """`handling=strict`: rather no answer than another one."""


def read_preferences(header: str) -> Preferences:
    """The preferences of a header; of two that contradict each other the first counts."""
    given: dict[str, str] = {}
    for part in _PREFERENCES.findall(header):
        token, _, value = part.partition(";")[0].partition("=")
        given.setdefault(token.strip().lower(), value.strip().strip('"'))
    wait, returned = given.get("wait", ""), given.get("return", "").lower()
    return Preferences(
        respond_async="respond-async" in given,
        wait=min(int(wait), _LONGEST_WAIT) if wait.isascii() and wait.isdigit() and len(wait) < 20 else None,
        returned=returned if returned in ("minimal", "representation") else "",
        strict=given.get("handling", "").lower() == "strict",
    )
