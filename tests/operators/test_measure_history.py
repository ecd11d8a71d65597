"""The charted measures over time: what a process reports, who writes the frame, and what becomes of frames."""

from __future__ import annotations

import time
from collections.abc import Iterator
from importlib import import_module
from typing import Any

import pytest

from streaming.core.leases import NODE_KEY, NODES
from streaming.core.redis import async_redis, sync_redis
from streaming.engine.exposition import Families, Family
from streaming.engine.measures import Bound, Chart, Measure
from streaming.engine.runtime import Runtime
from streaming.operators import history
from streaming.operators.charts import Charted
from streaming.operators.health import Ended, problems
from streaming.operators.history import RINGS, Frame, Report
from streaming.operators.measure_recorder import CLAIM_KEY, REPORT_KEY, SEEN_KEY, MeasureRecorder
from streaming.operators.service import Operators

MEASURES = (
    Measure("open", "gauge", ("dialect",), "", Chart("Open", split="dialect")),
    Measure("sent_total", "counter", (), "", Chart("Sent", line="sent")),
    Measure("late", "gauge", (), "", Chart("Late", unit="s", over="max", bound=Bound(0.5, "{process} is {value} late"))),
    Measure("unseen", "gauge", (), ""),
)
CHARTED = Charted(MEASURES)


def families(**values: float) -> Families:
    return [Family(name, "", "gauge", [(name, {"node": "n", "dialect": "geo"}, value)]) for name, value in values.items()]


def report(at: float = 0, started: float = 0, **values: float) -> Report:
    return Report(at, "host:1", started, values)


def frame(at: float, **values: float) -> Frame:
    return Frame(at, 1, values, {"n": report(at, **values)})


@pytest.fixture
def recorder(runtime: Runtime) -> Iterator[MeasureRecorder]:
    """That of this process, with measures of its own."""
    recorder = runtime.service(Operators).recorder
    recorder.charted = CHARTED
    sync_redis().delete(*(history.KEY + ring.name for ring in RINGS))
    yield recorder


def claims() -> list[Any]:
    return list(sync_redis().scan_iter(CLAIM_KEY + "*"))


def forget_claims() -> None:
    for key in claims():
        sync_redis().delete(key)


def test_only_what_is_charted_is_read() -> None:
    assert CHARTED.read(families(open=3, sent_total=7, unseen=1, late=0)) == ({"open|geo": 3}, {"sent_total": 7})


def test_processes_are_added_up_or_the_worst_counts() -> None:
    assert CHARTED.total([{"open|geo": 3, "late": 0.1}, {"open|geo": 4, "late": 0.3}]) == {"open|geo": 7, "late": 0.3}


def test_moments_are_averaged_or_the_worst_counts() -> None:
    assert CHARTED.over_time([{"open|geo": 3, "late": 0.1}, {"late": 0.3}]) == {"open|geo": 1.5, "late": 0.3}


def test_a_line_that_was_not_told_is_zero_and_a_process_that_was_not_there_is_a_gap() -> None:
    first, second = frame(5, sent_total=1), Frame(10, 1, {"late": 2.0}, {})
    told = history.columns([first, second], by_process=True)
    assert told["total"] == {"sent_total": [1, 0], "late": [0, 2.0]}
    assert told["nodes"]["n"]["lines"] == {"sent_total": [1, None]}


async def test_counters_are_growth_a_second(recorder: MeasureRecorder) -> None:
    recorder._reported(families(sent_total=100))
    recorder._counted_at = time.monotonic() - 5
    assert recorder._reported(families(sent_total=600)).values["sent_total"] == pytest.approx(100, rel=0.02)


async def test_of_all_processes_one_writes_the_frame_of_a_step(recorder: MeasureRecorder) -> None:
    forget_claims()
    await recorder.step(families(open=3))
    await recorder.step(families(open=3))
    assert [each.total for each in await history.read("5m")] in ([{"open|geo": 3}], [{"open|geo": 3}] * 2)  # a step may just have ended
    assert len(await history.read("5m")) == len([key for key in claims() if b":5m:" in key])


async def test_a_frame_has_what_other_living_processes_reported(recorder: MeasureRecorder) -> None:
    redis, encode = async_redis(), history.msgspec.msgpack.encode
    await redis.sadd(NODES, "alive", "dead")
    await redis.set(NODE_KEY + "alive", "1", ex=10)
    for node in ("alive", "dead"):
        await redis.set(REPORT_KEY + node, encode(report(time.time(), **{"open|geo": 4})))
    forget_claims()
    await recorder.step(families(open=3))
    newest = (await history.read("5m"))[-1]
    assert newest.total == {"open|geo": 7}
    assert "dead" not in newest.nodes


async def test_a_ring_keeps_its_newest_frames(recorder: MeasureRecorder) -> None:
    ring = history.Ring("5m", 5.0, 3)
    for at in range(5):
        await history.append(ring, frame(at + 1))
    assert [each.at for each in await history.read("5m")] == [3, 4, 5]


async def test_a_coarser_ring_has_the_steps_that_have_ended_once(recorder: MeasureRecorder) -> None:
    fine, coarse = RINGS[:2]
    for at in (31, 45, 61):
        await history.append(fine, frame(at, late=at))
    forget_claims()
    for now in (62, 70):
        await recorder._summarize(fine, coarse, now)
    assert [(each.at, each.total) for each in await history.read("1h")] == [(60, {"late": 45})]


async def test_a_process_that_says_so_was_stopped_and_another_one_is_silent(recorder: MeasureRecorder) -> None:
    gone = Ended("host:2", 1.0, time.time() - 5, orderly=False)
    await recorder._see({"crashed": gone, "stopped": history.msgspec.structs.replace(gone, orderly=True)})
    found = await recorder._stopped({recorder._node: report(time.time())}, time.time())
    told = [(problem.level, problem.text.split(" ago")[0]) for problem in problems({}, found, CHARTED, time.time())]
    assert told == [("bad", "host:2 stopped without a word 5 s"), ("note", "host:2 was stopped 5 s")]


def test_a_silent_process_is_what_the_alert_is_about() -> None:
    (problem,) = problems({}, {"n": Ended("host:2", 1.0, 2.0, orderly=False)}, CHARTED, 3.0)
    (rule,) = (rule for rule in import_module("streaming.migrations.0013_first_alert_rules").RULES if rule["name"] == "Process silent")
    assert (problem.measure, problem.process) == (rule["measure"], "host:2")


async def test_who_has_been_gone_for_long_is_forgotten(recorder: MeasureRecorder) -> None:
    await recorder._see({"old": Ended("host:2", 1.0, time.time() - 3600, orderly=True)})
    assert "old" not in await recorder._stopped({"n": report(time.time())}, time.time())
    assert not await async_redis().hexists(SEEN_KEY, "old")


def test_a_value_beyond_its_bound_is_a_problem_with_its_chart() -> None:
    (problem,) = problems({"n": report(late=1.25)}, {}, CHARTED, 0)
    assert (problem.measure, problem.process) == ("late", "host:1")
    assert (problem.level, problem.text, problem.chart) == ("bad", "host:1 is 1.2 s late.", "Late")


def test_a_silent_process_whose_successor_runs_is_only_a_note() -> None:
    ended = {"n": Ended("host:1", 0, 100, orderly=False)}
    assert [problem.level for problem in problems({"m": report(started=120)}, ended, CHARTED, 130)] == ["note"]
