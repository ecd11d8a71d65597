"""The tables of docs/filters.md against the code."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from streaming.core.cql2_check import OPERATORS
from streaming.core.datetimes import microseconds

PAGE = (Path(__file__).parent.parent.parent / "docs" / "filters.md").read_text()
FIVE = 1_533_099_600_000_000
MIDNIGHT = 1_533_081_600_000_000


def section(title: str) -> str:
    return PAGE.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def rows(title: str) -> list[list[str]]:
    table = [line for line in section(title).splitlines() if line.startswith("|")][2:]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in table]


EXAMPLES = [example for row in rows("Times") for example in re.findall("`([^`]+)`", row[1])]


@pytest.mark.parametrize("example", EXAMPLES)
def test_the_examples_of_times_are_read_as_the_page_says(example: str) -> None:
    value = float(example) if re.fullmatch(r"[0-9]{9,}(\.0)?", example) else example
    assert microseconds(value) == (MIDNIGHT if len(example) <= 10 and value is example else FIVE)


def test_the_table_of_times_is_found() -> None:
    assert len(EXAMPLES) > 15


def test_every_operator_is_in_the_table_and_no_other() -> None:
    named = {name for row in rows("CQL2") for name in re.findall("`([^`]+)`", row[1])}
    assert {name.lower() for name in named} - {"is null"} == {name.lower() for name in OPERATORS}
