"""Patterns of names as Redis has them, compared here: what a client calls a pattern never becomes one of Redis."""

from __future__ import annotations

import re

from streaming.core.errors import StreamError

MAX_GLOB = 256
"""Characters of a pattern: each name is compared with all of them."""
_TOKEN = re.compile(
    r"""(?P<star>\*) | (?P<any>\?)
    | \[ (?P<negated>\^?) (?P<members> (?: \\. | [^\]]-. | [^\]] )*+ ) \]?  # a class ends at the first `]`, or with the pattern
    | \\ (?P<escaped>.) | (?P<plain>.)""",
    re.DOTALL | re.VERBOSE,
)
_MEMBER = re.compile(r"\\(?P<escaped>.) | (?P<low>.)-(?P<high>.) | (?P<plain>.)", re.DOTALL | re.VERBOSE)


class Glob:
    r"""A pattern: `*`, `?`, `[a-z]`, `[^a-z]`, and `\` before what is meant literally. Of characters, not bytes."""

    __slots__ = ("_matches", "text")

    def __init__(self, text: str) -> None:
        if not 0 < len(text) <= MAX_GLOB:
            raise StreamError("bad_request", f"a pattern has 1 to {MAX_GLOB} characters")
        self.text = text
        self._matches = re.compile(_regex(text), re.DOTALL).fullmatch

    def matches(self, name: str) -> bool:
        """Whether a name is like this."""
        return self._matches(name) is not None


def _regex(glob: str) -> str:
    """What is between stars is searched once, from the left, and kept: no pattern takes long."""
    pieces = [""]
    for token in _TOKEN.finditer(glob):
        if token["star"]:
            pieces.append("")
        else:
            pieces[-1] += _one_character(token)
    first, *others = pieces
    if not others:
        return first
    *middle, last = others
    return first + "".join(f"(?>.*?{piece})" for piece in middle if piece) + ".*" + last


def _one_character(token: re.Match[str]) -> str:
    if token["any"]:
        return "."
    if token["members"] is None:
        return re.escape(token["escaped"] or token["plain"])
    members = "".join(map(_member, _MEMBER.finditer(token["members"])))
    if not members:
        return "." if token["negated"] else "(?!)"
    return f"[{token['negated']}{members}]"


def _member(member: re.Match[str]) -> str:
    if member["low"] is None:
        return re.escape(member["escaped"] or member["plain"])
    return "-".join(map(re.escape, sorted((member["low"], member["high"]))))
