"""The vectors of file sync: messages, paths, merges, sessions and requests, with what becomes of them."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

VECTORS: dict[str, Any] = json.loads((Path(__file__).parent / "vectors.json").read_text())
CONTENTS: dict[str, bytes] = {each["path"]: base64.b64decode(each["base64"]) for each in VECTORS["files"]}


def named(kind: str) -> dict[str, Any]:
    """The vectors of a list by name."""
    return {each["name"]: each for each in VECTORS[kind]}


def like(expected: Any, found: Any) -> bool:
    """Whether an answer is what a vector says; `*` stands for any text."""
    if expected == "*":
        return isinstance(found, str)
    if isinstance(expected, dict):
        return isinstance(found, dict) and expected.keys() == found.keys() and all(like(expected[key], found[key]) for key in expected)
    if isinstance(expected, list):
        return isinstance(found, list) and len(expected) == len(found) and all(map(like, expected, found))
    return bool(expected == found) and isinstance(expected, bool) == isinstance(found, bool)
