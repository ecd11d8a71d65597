"""Guards the CQL2 parser: refuses text that it could not parse in bounded depth and time.

The parser of `cql2` 0.6 recurses without bound: some kilobytes of nested operators overflow the stack and end the process. And where a
text is wrong it tries each enclosing parenthesis in two ways: twenty of them take seconds, forty for ever. Both are bounded here, from
above and in one pass, by looking at quotes, parentheses, commas and operators only.
"""

from __future__ import annotations

import re

from streaming.core.errors import StreamError

MAX_NESTING = 100
"""Levels of operators and parentheses; the stack of a main thread (8 MiB) overflows at about 1,700."""
MAX_EFFORT = 300_000
"""Characters, each counted once per time that the parser may look at it: some tenths of a second."""

_TOKENS = re.compile(
    r"""(?P<text>'(?:''|[^'])*'|"[^"]*")|(?P<group>\()|(?P<close>\))|(?P<comma>,)
    |(?P<level>[-+*/^%=<>])|(?P<word>[^\W\d][\w:.]*(?P<call>\()?)""",
    re.VERBOSE,
)
_JOINS = frozenset({"and", "or"})
_OPERATORS = frozenset({"not", "div", "like", "in", "is", "between"})


def check_text(text: str) -> None:
    """StreamError invalid_filter if parsing could go too deep or take too long."""
    state = _Nesting()
    for token in _TOKENS.finditer(text):
        state.advance(text, token.start())
        state.add(token)
        state.before = token.end()
        if state.depth > MAX_NESTING:
            raise StreamError("invalid_filter", f"the filter has more than {MAX_NESTING} levels at character {token.end()}")
    state.advance(text, len(text))
    if state.effort > MAX_EFFORT:
        raise StreamError("invalid_filter", "the filter has too many nested parentheses for its length; simplify it or use cql2-json")


class _Nesting:
    """Where in the text we are: `depth` bounds the recursion, `effort` the time."""

    def __init__(self) -> None:
        self.depth = 0
        self.effort = 0
        self.before = 0
        self._groups = 0
        self._operators = [0]
        self._parentheses: list[int] = []
        self._operand = False

    def advance(self, text: str, to: int) -> None:
        """Move to the start of the next token; whatever stands between two tokens is an operand."""
        self.effort += (to - self.before + 1) << min(self._groups, 64)
        self._operand = self._operand or bool(text[self.before : to].strip())

    def add(self, token: re.Match[str]) -> None:
        kind = token.lastgroup
        word = (token["word"] or "").removesuffix("(").lower()
        joins = kind == "comma" or (word in _JOINS and self._operand)  # a property may be called "and"
        operator = kind == "level" or word in _OPERATORS
        self.effort += len(token[0]) << min(self._groups, 64)
        if joins:
            self.depth -= self._operators[-1]
            self._operators[-1] = 0
        elif operator:
            self._operators[-1] += 1
            self.depth += 1
        if kind == "close":
            self._close()
        elif token[0].endswith("(") and kind != "text":
            self._open(group=kind == "group" or word in _JOINS or word in _OPERATORS)
        self._operand = kind in ("text", "close") or bool(word and not joins and not operator and not token["call"])

    def _open(self, group: bool) -> None:
        self._parentheses.append(int(group))
        self._groups += int(group)
        self._operators.append(0)
        self.depth += 1

    def _close(self) -> None:
        if self._parentheses:
            self._groups -= self._parentheses.pop()
            self.depth -= self._operators.pop() + 1
