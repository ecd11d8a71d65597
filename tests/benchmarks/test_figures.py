"""Figures are kept as JSON, and told beside those of another run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.figures import Figures

ROW = {"views": "own", "subscribers": 100, "deliveries/s": 1_000, "lost": 0}


@pytest.fixture
def last(tmp_path: Path) -> Path:
    path = tmp_path / "last.json"
    path.write_text(json.dumps({"figures": {"fanout": [ROW], "idle": [{"clients": "none"}]}}))
    return path


@pytest.mark.parametrize(
    ("row", "ratios"),
    [
        ({**ROW, "deliveries/s": 1_500}, {"deliveries/s": " (x 1.50)"}),
        ({**ROW, "deliveries/s": 1_020}, {}),
        ({**ROW, "views": "same", "deliveries/s": 1_500}, {}),
        ({**ROW, "subscribers": 1_000, "deliveries/s": 1_500}, {}),
    ],
    ids=["faster", "as fast", "other views", "other subscribers"],
)
def test_a_figure_has_its_ratio_to_that_of_the_same_work(last: Path, row: dict[str, object], ratios: dict[str, str]) -> None:
    assert list(Figures(last).compared("fanout", [row])) == [(row, ratios)]


def test_without_another_run_there_are_no_ratios(tmp_path: Path) -> None:
    assert list(Figures(tmp_path / "none.json").compared("fanout", [ROW])) == [(ROW, {})]


def test_what_was_not_measured_anew_is_kept(last: Path, tmp_path: Path) -> None:
    figures = Figures(last)
    figures.add("fanout", [{**ROW, "deliveries/s": 2_000}])
    figures.save(tmp_path / "new.json")
    again = Figures(tmp_path / "new.json")
    assert again.rows("fanout")[0]["deliveries/s"] == 2_000
    assert again.rows("idle") == [{"clients": "none"}]
