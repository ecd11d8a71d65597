"""What is wrong with the site, each in one sentence: from what the processes reported last, and from who has stopped reporting."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Literal

import msgspec
from django.template.defaultfilters import filesizeformat

from .charts import Charted
from .history import Report

LOST = "geostream_nodes_lost_total"
"""What counts processes that stop without a word."""


class Ended(msgspec.Struct):
    """A process that reports no more."""

    name: str
    started: float
    at: float
    """When it was heard last."""
    orderly: bool
    """It said that it ends."""


class Problem(msgspec.Struct, frozen=True):
    """Something that an operator should know: bad, or only worth a look."""

    level: Literal["bad", "note"]
    text: str
    chart: str = ""
    """The chart that shows it."""
    measure: str = ""
    process: str = ""
    """What it is about: an alert about the same is not a second problem."""


REDIS_AWAY = Problem(
    "bad", "Redis does not answer, or takes nothing because it is full or read-only: nothing is published. What is shown is of one process."
)


def problems(reports: Mapping[str, Report], ended: Mapping[str, Ended], charted: Charted, now: float) -> list[Problem]:
    """What is wrong, the worst first."""
    found = [*_stopped(reports, ended, now), *_beyond(reports, charted)]
    return sorted(found, key=lambda problem: problem.level)


def _stopped(reports: Mapping[str, Report], ended: Mapping[str, Ended], now: float) -> Iterator[Problem]:
    newest = max((report.started for report in reports.values()), default=0.0)
    for each in ended.values():
        age = max(int(now - each.at), 0)
        if each.orderly:
            yield Problem("note", f"{each.name} was stopped {_ago(age)} ago.")
        else:
            again = " Another one has been started since." if newest > each.at else ""
            level: Literal["bad", "note"] = "note" if again else "bad"
            text = f"{each.name} stopped without a word {_ago(age)} ago: it was killed, it crashed, or its machine is away.{again}"
            yield Problem(level, text, measure=LOST, process=each.name)


def _beyond(reports: Mapping[str, Report], charted: Charted) -> Iterator[Problem]:
    for report in reports.values():
        for line, chart, value in charted.beyond(report.values):
            assert chart.bound is not None
            text = chart.bound.sentence.format(process=report.name, value=_shown(value, chart.unit)) + "."
            yield Problem("bad", text, chart.title, line.partition("|")[0], report.name)


def _shown(value: float, unit: str) -> str:
    if unit == "s":
        return f"{value:.1f} s" if value >= 1 else f"{1000 * value:.0f} ms"
    return filesizeformat(value) if unit == "B" else f"{value:,.0f}"


def _ago(seconds: int) -> str:
    return f"{seconds} s" if seconds < 60 else f"{seconds // 60} min"
