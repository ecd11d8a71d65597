"""Spellings of CQL2 text that the standard has and the parser of `cql2` 0.6 does not read, in those that it does."""

from __future__ import annotations

import re
from decimal import Decimal, InvalidOperation

_MOST_DIGITS = 400  # more than any double needs
_TEXT = r"""(?P<text>'(?:''|[^'])*'|"[^"]*")"""
_NUMBERS = re.compile(rf"{_TEXT}|(?<![\w.])(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?(?![\w.])")
_WORDS = re.compile(r"""(?P<text>'(?:''|\\'|[^'])*')|"[^"]*"|(?P<name>(?<![\w:.])[_:][\w:.]*(?!\())""")


def plain_numbers(text: str) -> str:
    """The text without numbers that have an exponent, or no digit before the point.

    In geometries the parser knows neither, and takes `LINESTRING(0 -1e-7, 1 1)` for a function of a difference.
    """
    return _NUMBERS.sub(_plain, text)


def quoted_words(text: str) -> str:
    """What the parser has refused, with `\\'` in texts as `''`, and with names that begin with `_` or `:` in quotes."""
    return _WORDS.sub(_quoted, text)


def _plain(token: re.Match[str]) -> str:
    found = token[0]
    if token["text"] or not (found.startswith(".") or "e" in found.lower()):
        return found
    try:
        number = Decimal(found)
    except InvalidOperation:  # an exponent of many digits
        return found
    return f"{number:f}" if abs(number.adjusted()) < _MOST_DIGITS else found


def _quoted(token: re.Match[str]) -> str:
    if token["text"]:
        return token[0].replace("\\'", "''")
    return f'"{token[0]}"' if token["name"] else token[0]
