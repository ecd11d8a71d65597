"""The structure of the code: which room may import from which. Late imports and those for type checkers count as well."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from .import_graph import ROOT, drawn, mermaid, rooms
from .processes import run

ENGINE = ROOT / "streaming" / "engine"
PARTS = ("geo", "phoenix", "redis_commands", "topics", "tiles", "features", "redis_data", "operators", "file_sync")


def test_no_rooms_import_each_other_in_a_circle() -> None:
    tuple(TopologicalSorter(rooms()).static_order())  # raises CycleError


def test_imports_keep_the_order_of_the_rooms() -> None:
    program = "from importlinter.cli import lint_imports_command; lint_imports_command()"
    run(sys.executable, "-c", program, "--no-cache", cwd=ROOT, timeout=50)


def test_the_design_has_the_picture_of_the_rooms() -> None:
    assert drawn() == mermaid(rooms()), "run: make graph"


def names(path: Path) -> Iterator[str]:
    """Identifiers and dotted paths."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Name):
            yield node.id
        elif isinstance(node, ast.Attribute):
            yield node.attr
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.startswith("streaming."):
            yield node.value


@pytest.mark.parametrize("path", sorted(ENGINE.glob("*.py")), ids=lambda path: path.stem)
def test_the_engine_names_no_part(path: Path) -> None:
    named = {text for text in names(path) if text in PARTS or text.startswith(tuple(f"streaming.{part}" for part in PARTS))}
    assert not named
