"""CQL2 expressions (OGC 21-065r2), by the `cql2` library, made safe for a server.

The library's parser can be made to overflow the stack or to run for ever, and its own `validate` takes a tenth of a second at best. So a
text is measured before it is parsed (`cql2_guard`), what was parsed is checked (`cql2_check`), and rewritten where the library's answers
would not be those of other filters (`cql2_rewrite`). What cannot be decided (a missing property, a text compared with a number) does not
match. A compiled expression asks only for the members it names.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import cql2
import msgspec

from streaming.core.cql2_bounds import bounding_boxes, places
from streaming.core.cql2_check import check_expression
from streaming.core.cql2_guard import MAX_NESTING, check_text
from streaming.core.cql2_rewrite import Computed, rewrite
from streaming.core.cql2_spelling import plain_numbers, quoted_words
from streaming.core.errors import StreamError
from streaming.core.json_values import NotJson, as_json

MAX_LENGTH = 64 * 1024
"""Bytes of an expression's text."""
CACHED = 1024
LANGUAGES = ("cql2-text", "cql2-json")


class Expression:
    """A checked CQL2 expression. `text` is equal for expressions of equal meaning in either language.

    `names` are the members it asks for, `places` those it asks for a geometry. It is true of no feature outside `boxes` (None: of any).
    """

    __slots__ = ("_computed", "_matches", "boxes", "names", "places", "text")

    def __init__(self, parsed: cql2.Expr, tree: Any, names: frozenset[str], computed: tuple[Computed, ...] = ()) -> None:
        self._matches: Callable[[dict[str, Any]], bool] = parsed.matches
        self._computed = computed
        self.text = msgspec.json.encode(tree, order="sorted").decode()
        self.names = tuple(sorted(names))
        self.places = places(tree)
        self.boxes = bounding_boxes(tree)

    def matches(self, members: dict[str, Any]) -> bool:
        """Is the expression true of these members? Not if it cannot be decided."""
        if self._computed:
            members = dict(members)
            for name, value in self._computed:
                if (found := value(members)) is not None:
                    members[name] = found
        try:
            return self._matches(members)
        except Exception as error:
            if type(error) is not Exception:  # the library raises exactly Exception for whatever it cannot decide
                raise
            return False


def compile_expression(expression: str | dict[str, Any], language: str | None = None) -> Expression:
    """Parse and check an expression; the same one is parsed once. StreamError invalid_filter."""
    language = language or ("cql2-json" if isinstance(expression, dict) else "cql2-text")
    if language not in LANGUAGES:
        raise StreamError("invalid_filter", f"filter_lang {language!r:.40} is not one of {', '.join(LANGUAGES)}")
    if isinstance(expression, dict) and language == "cql2-text":
        raise StreamError("invalid_filter", "a filter of language cql2-text is a text, not an object")
    text = expression if isinstance(expression, str) else _json(expression)
    if len(text) > MAX_LENGTH or len(text.encode(errors="replace")) > MAX_LENGTH:
        raise StreamError("invalid_filter", f"the filter is longer than the {MAX_LENGTH} bytes allowed")
    return _compiled(text, language)


@lru_cache(CACHED)
def _compiled(text: str, language: str) -> Expression:
    parsed, tree = _parsed_text(text) if language == "cql2-text" else _parsed(text, cql2.parse_json, language)
    names = check_expression(tree)
    rewritten, computed = rewrite(tree, names)
    if rewritten != tree:
        parsed = cql2.parse_json(msgspec.json.encode(rewritten).decode())
    return Expression(parsed, tree, names, computed)


def _parsed_text(text: str) -> tuple[cql2.Expr, Any]:
    plain = plain_numbers(text)
    check_text(plain)
    try:
        return _parsed(plain, cql2.parse_text, "cql2-text")
    except StreamError:
        respelt = plain_numbers(quoted_words(text))
        if respelt == plain:
            raise
    check_text(respelt)
    return _parsed(respelt, cql2.parse_text, "cql2-text")


def _parsed(text: str, parse: Callable[[str], cql2.Expr], language: str) -> tuple[cql2.Expr, Any]:
    try:
        parsed = parse(text)
        return parsed, parsed.to_json()
    except Exception as error:  # noqa: BLE001 (cql2 raises Exception itself for a geometry it cannot build)
        raise StreamError("invalid_filter", f"the filter is not {language}: {_place(str(error), text)}") from None


def _json(expression: dict[str, Any]) -> str:
    if not isinstance(expression, dict):
        raise StreamError("invalid_filter", "a filter is a CQL2 text or a CQL2 JSON object")
    try:
        return msgspec.json.encode(as_json(expression, "filter", MAX_NESTING), order="sorted").decode()
    except (NotJson, UnicodeError) as error:
        raise StreamError("invalid_filter", str(error)) from None


_POSITION = re.compile(r" --> (\d+):(\d+)")


def _place(complaint: str, text: str) -> str:
    """The parser's complaint in one line: where it stopped and on what."""
    position = _POSITION.match(complaint)
    if position is None:
        return complaint[:300]
    line, column = int(position[1]), int(position[2])
    rest = "".join(text.splitlines()[line - 1 : line])[column - 1 :].strip()
    where = f"column {column}" if line == 1 else f"line {line}, column {column}"
    return f"something is missing at {where}" if not rest else f"{rest[:30]!r} at {where} cannot be read"
