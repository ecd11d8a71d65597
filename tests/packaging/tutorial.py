"""The tutorial as a program: its files and commands, as it prints them."""

from __future__ import annotations

import re
from dataclasses import dataclass

from .environment import ROOT

TEXT = (ROOT / "docs" / "tutorial.md").read_text(encoding="utf-8")
_SECTION = re.compile(r"^## (?:\d+\. )?(.*)\n((?:(?!## ).*\n?)*)", re.MULTILINE)
_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)
_PLACE = re.compile(r"(?:# |<!-- )(.+?)(, at the end)?(?: -->)?\n")
SHELL = "python manage.py shell"


@dataclass(frozen=True, slots=True)
class Block:
    """A piece of code. `place` is what its first line says: a file, or where it is typed."""

    language: str
    text: str
    place: str | None
    at_the_end: bool


def section(title: str) -> list[Block]:
    """The code of a section."""
    (text,) = (body for name, body in _SECTION.findall(TEXT) if name == title)
    return [_read(language, code) for language, code in _BLOCK.findall(text)]


def _read(language: str, code: str) -> Block:
    marked = _PLACE.match(code) if language in ("python", "html") else None
    if marked is None:
        return Block(language, code, None, False)
    return Block(language, code[marked.end() :], marked[1], marked[2] is not None)


def titles() -> list[str]:
    """The titles of all sections."""
    return [name for name, _ in _SECTION.findall(TEXT)]
