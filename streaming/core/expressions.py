"""CQL2 expressions (OGC 21-065r2), by the `cql2` library, made safe for a server.

The library's parser and evaluator recurse: some kilobytes of nested parentheses overflow the stack and end the process, and its own
`validate` takes a tenth of a second, or for ever. So a text is measured before it is parsed, and what was parsed is checked here: every
operator known, every argument of a kind it takes. What the library cannot decide (a missing property, a text compared with a number)
does not match. A compiled expression asks only for the members it names.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import cql2
import msgspec

from streaming.core.cql2_check import check_expression
from streaming.core.errors import StreamError
from streaming.core.plain import NotPlain, plain

MAX_LENGTH = 64 * 1024
"""Bytes of an expression's text."""
MAX_NESTING = 100
"""Levels of an expression; the library overflows the stack of a main thread at about 1,700."""
CACHED = 1024
LANGUAGES = ("cql2-text", "cql2-json")

_TOKENS = re.compile(
    r"""(?P<text>'(?:''|[^'])*'|"[^"]*")|(?P<open>\()|(?P<close>\))|(?P<comma>,)
    |(?P<join>\b(?:and|or)\b)|(?P<level>[-+*/^%=<>]|\b(?:not|div|like|in|is|between)\b)""",
    re.IGNORECASE | re.VERBOSE,
)


class Expression:
    """A checked CQL2 expression. `text` is equal for expressions of equal meaning in either language."""

    __slots__ = ("_matches", "names", "text")

    def __init__(self, parsed: cql2.Expr, tree: Any, names: frozenset[str]) -> None:
        self._matches: Callable[[dict[str, Any]], bool] = parsed.matches
        self.text = msgspec.json.encode(tree, order="sorted").decode()
        self.names = tuple(sorted(names))

    def matches(self, members: dict[str, Any]) -> bool:
        """Is the expression true of these members? Not if it cannot be decided."""
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
    if language == "cql2-text":
        _check_nesting(text)
    parse = cql2.parse_text if language == "cql2-text" else cql2.parse_json
    try:
        parsed = parse(text)
    except Exception as error:  # noqa: BLE001 (cql2 raises Exception itself for a geometry it cannot build)
        raise StreamError("invalid_filter", f"the filter is not {language}: {error}") from None
    tree = parsed.to_json()
    return Expression(parsed, tree, check_expression(tree))


def _json(expression: dict[str, Any]) -> str:
    if not isinstance(expression, dict):
        raise StreamError("invalid_filter", "a filter is a CQL2 text or a CQL2 JSON object")
    try:
        return msgspec.json.encode(plain(expression, "filter", MAX_NESTING), order="sorted").decode()
    except (NotPlain, UnicodeError) as error:
        raise StreamError("invalid_filter", str(error)) from None


def _check_nesting(text: str) -> None:
    """Bounds how deep the parser will recurse: open parentheses, and the operators before each place within them."""
    nesting, before, operand = _Nesting(), 0, False
    for token in _TOKENS.finditer(text):
        operand = operand or (not text[before : token.start()].isspace() and before < token.start())
        nesting.add(token.lastgroup or "", operand)
        if nesting.depth > MAX_NESTING:
            raise StreamError("invalid_filter", f"the filter has more than {MAX_NESTING} levels at character {token.end()}")
        before, operand = token.end(), token.lastgroup in ("text", "close")


class _Nesting:
    def __init__(self) -> None:
        self.depth = 0
        self._operators = [0]

    def add(self, kind: str, after_operand: bool) -> None:
        if kind == "level":
            self._operators[-1] += 1
            self.depth += 1
        elif kind == "open":
            self._operators.append(0)
            self.depth += 1
        elif kind == "comma" or (kind == "join" and after_operand):  # a property may be called "and"
            self.depth -= self._operators[-1]
            self._operators[-1] = 0
        elif kind == "close" and len(self._operators) > 1:
            self.depth -= self._operators.pop() + 1
