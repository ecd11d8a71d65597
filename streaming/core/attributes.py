"""Conditions on the members of a plain dict: a feature's properties, an event's payload.

Pairs compare as text, in the way a person means it: "7" is the number 7 (and 7.0) as well as the text "7", "true" the boolean true.
What is missing or null never matches.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from streaming.core.errors import StreamError
from streaming.core.expressions import Expression, compile_expression

Members = dict[str, Any]
Condition = Callable[[Members], bool]
Pairs = tuple[tuple[str, str], ...]

MAX_PAIRS = 100

_INTEGER = re.compile(r"-?\d{1,300}", re.ASCII)
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?", re.ASCII)
_BOOLEANS = {"true": True, "false": False}


def compile_attributes(
    filters: Sequence[tuple[str, str]] | None = None, filter: str | dict[str, Any] | None = None, filter_lang: str | None = None
) -> Condition:
    """One condition for pairs and CQL2, on a plain dict. StreamError invalid_filter."""
    conditions = [pairs_condition(pairs)] if (pairs := canonical_pairs(filters)) else []
    if filter is not None:
        conditions.append(_on_members(compile_expression(filter, filter_lang)))
    return join(conditions)


def canonical_pairs(filters: Iterable[Sequence[str]] | None) -> Pairs:
    """The pairs, sorted, each once. StreamError invalid_filter unless they are pairs of texts."""
    pairs = [tuple(pair) if isinstance(pair, list | tuple) else () for pair in filters or ()]
    if len(pairs) > MAX_PAIRS:
        raise StreamError("invalid_filter", f"filters has more than {MAX_PAIRS} pairs")
    if any(len(pair) != 2 or not all(isinstance(part, str) for part in pair) for pair in pairs):
        raise StreamError("invalid_filter", "filters must be a list of pairs of texts: [[property, value], …]")
    return tuple(sorted({(name, value) for name, value in pairs}))


def pairs_condition(pairs: Pairs) -> Condition:
    """True if every pair equals its member."""
    return join([_equals(name, text) for name, text in pairs])


def join(conditions: Sequence[Callable[[Any], bool]]) -> Callable[[Any], bool]:
    """All of the conditions, in their order; without any, true."""
    if not conditions:
        return lambda _: True
    if len(conditions) == 1:
        return conditions[0]
    if len(conditions) == 2:
        first, second = conditions
        return lambda subject: first(subject) and second(subject)
    return lambda subject: all(condition(subject) for condition in conditions)


def _equals(name: str, text: str) -> Condition:
    if text in _BOOLEANS:
        truth = _BOOLEANS[text]
        return lambda members: (value := members.get(name)) is truth or value == text
    number = _number(text)
    if number is None:
        return lambda members: members.get(name) == text
    return lambda members: ((value := members.get(name)) == number and value is not True and value is not False) or value == text


def _number(text: str) -> int | float | None:
    if _INTEGER.fullmatch(text):
        return int(text)
    return float(text) if _NUMBER.fullmatch(text) else None


def _on_members(expression: Expression) -> Condition:
    names, matches = expression.names, expression.matches
    return lambda members: matches({name: members[name] for name in names if name in members})
