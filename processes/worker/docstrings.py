"""Reads Google style docstrings: the title and description of a process, and of what it takes and returns."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

_SECTION = re.compile(r"(Args|Arguments|Attributes|Parameters|Returns|Yields|Raises|Example|Examples|Note|Notes):\s*")
_ITEM = re.compile(r"(\w+)(?:\s*\([^)]*\))?:\s*(.*)")


class Text(NamedTuple):
    """A title, which is one sentence without its full stop, and what is said beyond it."""

    title: str = ""
    description: str = ""


NOTHING = Text()


@dataclass(frozen=True, slots=True)
class Docstring:
    """What a docstring says."""

    about: Text = NOTHING
    items: dict[str, Text] = field(default_factory=dict)
    """Of its arguments or attributes, by name."""
    returns: Text = NOTHING


def read_docstring(documented: Any) -> Docstring:
    """The docstring of a function or class."""
    text = inspect.cleandoc(documented.__doc__) if isinstance(getattr(documented, "__doc__", None), str) else ""
    sections = _sections(text.splitlines())
    items = {
        name: text_of(item)
        for section in ("Args", "Arguments", "Parameters", "Attributes")
        for name, item in _items(sections.get(section, ()))
    }
    return Docstring(text_of("\n".join(sections[""])), items, text_of("\n".join(sections.get("Returns", ()))))


def text_of(text: str) -> Text:
    """Its first sentence, and the rest of it with the paragraphs kept."""
    paragraphs = [" ".join(each.split()) for each in re.split(r"\n\s*\n", text.strip())]
    first = re.match(r"(.*?[^.])\.(?:\s+|$)(.*)", paragraphs[0])
    title, rest = (first[1], first[2]) if first else (paragraphs[0], "")
    return Text(title, "\n\n".join(filter(None, [rest, *paragraphs[1:]])))


def _sections(lines: Iterable[str]) -> dict[str, list[str]]:
    sections: dict[str, list[str]] = {"": []}
    current = ""
    for line in lines:
        if found := _SECTION.fullmatch(line):
            current = found[1]
            sections[current] = []
        else:
            sections[current].append(line)
    return sections


def _items(lines: Iterable[str]) -> Iterable[tuple[str, str]]:
    """`name: text`, of which further lines are indented."""
    name, text, margin = "", list[str](), None
    for line in lines:
        if not line.strip():
            continue
        indent = len(line) - len(line.lstrip())
        margin = indent if margin is None else margin
        if indent <= margin and (found := _ITEM.fullmatch(line.strip())):
            if name:
                yield name, " ".join(text)
            name, text = found[1], [found[2]]
        else:
            text.append(line.strip())
    if name:
        yield name, " ".join(text)
