"""The rules that need no server: paths, times, merges, names of conflicts, kinds of files, events of a file system."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streaming.files.merge import conflict_name, merge
from streaming.files.metadata import format_time, parse_time
from streaming.files.paths import PathError, clean_path, parents, twin_key
from streaming.files.sniff import sniff
from streaming.files.watch_events import fold

from .vectors import VECTORS


@pytest.mark.parametrize("vector", VECTORS["paths"], ids=lambda vector: vector["json"][:40])
def test_paths(vector: dict[str, Any]) -> None:
    candidate = json.loads(vector["json"])
    if "path" in vector:
        assert clean_path(candidate) == vector["path"]
        return
    with pytest.raises(PathError) as refused:
        clean_path(candidate)
    assert refused.value.rule == vector["error"]


@given(st.text(max_size=300))
def test_a_path_that_is_taken_stays_as_it_is_and_in_the_folder(text: str) -> None:
    try:
        path = clean_path(text)
    except PathError:
        return
    assert clean_path(path) == path
    assert not path.startswith("/") and ".." not in path.split("/") and "\\" not in path


def test_too_many_parts() -> None:
    assert clean_path("a/b/c", depth=3)
    with pytest.raises(PathError) as refused:
        clean_path("a/b/c/d", depth=3)
    assert refused.value.rule == "too_deep"


def test_twins_differ_in_case_or_in_how_characters_are_written() -> None:
    assert twin_key("Zürich.TIF") == twin_key("zu\u0308rich.tif")
    assert twin_key("straße") == twin_key("STRASSE")
    assert twin_key("a") != twin_key("b")


def test_the_directories_of_a_path() -> None:
    assert parents("a/b/c") == ["a", "a/b"]
    assert parents("a") == []


@pytest.mark.parametrize("vector", VECTORS["timestamps"]["emit"], ids=lambda vector: vector["text"])
def test_times_are_written_with_the_fewest_digits(vector: dict[str, Any]) -> None:
    assert format_time(vector["ns"]) == vector["text"]


@pytest.mark.parametrize("vector", VECTORS["timestamps"]["parse"], ids=lambda vector: vector["text"])
def test_times_are_read(vector: dict[str, Any]) -> None:
    assert parse_time(vector["text"]) == vector["ns"]


@given(st.integers(-62_135_596_800 * 10**9, 253_402_300_799 * 10**9))
def test_times_survive(nanoseconds: int) -> None:
    assert parse_time(format_time(nanoseconds)) == nanoseconds


@pytest.mark.parametrize("vector", VECTORS["merge"], ids=lambda vector: f"{vector['action']}: {vector['note']}")
def test_merges(vector: dict[str, Any]) -> None:
    assert merge(vector["base"], vector["local"], vector["remote"]) == vector["action"]


@pytest.mark.parametrize("vector", VECTORS["conflict_names"], ids=lambda vector: vector["path"])
def test_names_of_conflicts(vector: dict[str, Any]) -> None:
    assert conflict_name(vector["path"], vector["stamp"], vector["client"]) == vector["name"]


@pytest.mark.parametrize(
    "path", ["a" * 255, "ü" * 127, "a." + "b" * 253, "/".join(["x" * 250] * 3) + "/" + "y" * 240, "a" * 200 + ".tar.gz"]
)
def test_names_of_conflicts_are_not_too_long(path: str) -> None:
    name = conflict_name(path, "20240115-103000", "6f1c2f0e")
    assert clean_path(name) == name and ".sync-conflict-20240115-103000-6f1c2f0e" in name
    assert len(path) < 250 or name != path


@pytest.mark.parametrize("vector", VECTORS["sniff"], ids=lambda vector: vector["kind"])
def test_kinds_of_files(vector: dict[str, Any]) -> None:
    assert sniff(bytes.fromhex(vector["hex"])) == vector["kind"]


@pytest.mark.parametrize("vector", VECTORS["watch"], ids=lambda vector: vector["name"])
def test_events_of_a_file_system(vector: dict[str, Any]) -> None:
    known, now = ({path: tuple(seen) for path, seen in vector[name].items()} for name in ("known", "now"))
    operations = fold([path for _, path in vector["events"]], known, now)
    assert [list(operation) for operation in operations] == vector["operations"]
