"""The code of docs/processes.md and of the README's geoprocesses works."""

from __future__ import annotations

import ast
import re

import pytest

from processes.worker import BadInput, Worker

from .test_documents import DOCS

PROCESSES = (DOCS / "processes.md").read_text()


def python_of(text: str, mark: str) -> str:
    """The Python code that has a text in it."""
    (found,) = (code for code in re.findall(r"^```python\n(.*?)^```", text, re.M | re.S) if mark in code)
    return str(found)


def worker_of(code: str) -> Worker:
    names = {"__name__": "my_worker"}
    exec(code, names)
    worker = names["worker"]
    assert isinstance(worker, Worker)
    return worker


def test_the_worker_shifts_points() -> None:
    worker = worker_of(python_of(PROCESSES, "def my_shift"))
    moved = worker.call("my-shift", {"geometry": {"type": "Point", "coordinates": [8, 47]}})
    assert list(moved.values()) == [{"type": "Point", "coordinates": [9, 47]}]
    with pytest.raises(BadInput, match="it must be a Point"):
        worker.call("my-shift", {"geometry": {"type": "LineString", "coordinates": [[8, 47], [9, 47]]}})


def test_the_worker_of_the_readme_measures_edges() -> None:
    worker = worker_of(python_of((DOCS.parent / "README.md").read_text(), "def longest_edge").replace("worker.run()", ""))
    line = {"type": "LineString", "coordinates": [[8, 47], [9, 47], [9, 49]]}
    assert list(worker.call("longest-edge", {"line": line}).values()) == [2.0]


def test_all_of_it_is_python() -> None:
    for code in re.findall(r"^```python\n(.*?)^```", PROCESSES, re.M | re.S):
        compile(code, "processes.md", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
