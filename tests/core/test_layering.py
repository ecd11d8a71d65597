"""The core knows nothing of Django, of REST or of any dialect, in its source and when it runs."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import streaming.core
from tests.processes import run

CORE = Path(streaming.core.__path__[0])
MODULES = sorted(CORE.glob("*.py"))
OUTSIDE = ("django", "channels", "rest_framework", "asgiref", "geostream", "processes", "uvicorn", "daphne")


def imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            package = "streaming.core".rsplit(".", node.level - 1)[0] + "." if node.level else ""
            yield package + (node.module or "")


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_a_module_of_the_core_imports_only_the_core_and_libraries(path: Path) -> None:
    for name in imported(path):
        assert name.split(".")[0] not in OUTSIDE, f"{path.name} imports {name}"
        assert not name.startswith("streaming") or name.startswith("streaming.core"), f"{path.name} imports {name}"


def test_the_core_runs_without_django() -> None:
    imports = "; ".join(f"import streaming.core.{path.stem}" for path in MODULES if path.stem != "__init__")
    program = f"import sys; {imports}; print(*sorted({{name.split('.')[0] for name in sys.modules}} & set({OUTSIDE!r})))"
    done = run(sys.executable, "-c", program, cwd=CORE.parent.parent)
    assert done.stdout.split() == []
