"""The plan for a load follows from what was measured."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks.capacity import Load, run
from benchmarks.figures import Figures

LOAD = Load(clients=1_000, changes=1_000, layers=10, visible=0.5, features=10_000, message_bytes=500, cores=4)
MEASURED = {
    "costs": [
        {"what": "a change", "batch": 1, "process µs": 100, "Redis µs": 50, "Redis µs to read": 20},
        {"what": "a change", "batch": 100, "process µs": 10, "Redis µs": 5, "Redis µs to read": 2},
        {"what": "a feature held", "batch": None, "process bytes": 1_000, "Redis bytes": 400},
    ],
    "fanout": [
        {"subscribers": 100, "views": "own", "batch": 100, "CPU µs/delivery": 5, "kB/connection": 50},  # what a process loads is in it
        {"subscribers": 1_000, "views": "own", "batch": 100, "CPU µs/delivery": 4, "kB/connection": 30},
        {"subscribers": 1_000, "views": "same", "batch": 100, "CPU µs/delivery": 1, "kB/connection": 25},
    ],
    "latency": [{"subscribers": 1_000, "changes/s": 100, "server CPU %": 60}],
}


@pytest.fixture
def figures(tmp_path: Path) -> Figures:
    path = tmp_path / "measured.json"
    path.write_text(json.dumps({"figures": MEASURED}))
    return Figures(path)


def plan(figures: Figures, **changed: Any) -> dict[str, Any]:
    return {row["what"]: row["amount"] for row in run(LOAD._replace(**changed), figures)}


def test_a_client_is_told_its_part_of_its_layers_changes(figures: Figures) -> None:
    assert plan(figures)["deliveries"] == 100 * 1_000 * 0.5
    assert plan(figures)["to clients"] == 50_000 * 500 * 8 / 1e6


def test_single_changes_cost_a_system_call_each(figures: Figures) -> None:
    assert plan(figures)["distributing"] == pytest.approx(50_000 * 6 / 1e6)  # 60 % of a core for 100,000 deliveries
    assert plan(figures, changes=100_000)["distributing"] == 5_000_000 * 4 / 1e6


def test_processes_share_the_deliveries_and_each_follows_all_changes(figures: Figures) -> None:
    together = plan(figures, clients=10_000)
    assert together["following, in each process"] == pytest.approx(0.1)
    assert together["server processes"] == 6  # 3 cores of deliveries, in shares of 0.5
    assert together["Redis"] == pytest.approx(1_000 * (50 + 6 * 20) / 1e6)


def test_more_changes_than_a_process_can_follow_are_said(figures: Figures) -> None:
    assert plan(figures, changes=10_000)["server processes"] == "none"


def test_memory_is_that_of_connections_and_of_all_layers(figures: Figures) -> None:
    assert plan(figures)["memory, per process"] == 150 + 1_000 * 30_000 / 1e6 + 100_000 * 1_000 / 1e6
    assert plan(figures)["memory of Redis"] == 40


def test_more_than_a_redis_can_do_is_spread_over_primaries(figures: Figures) -> None:
    assert (plan(figures)["primaries of Redis"], plan(figures)["machines"]) == (1, 1)
    assert plan(figures, changes=5_000, clients=20_000, layers=20)["primaries of Redis"] > 1
