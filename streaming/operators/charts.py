"""What is charted for operators: the measures that say so, and the values of one process as lines of the charts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from streaming.engine.exposition import Families
from streaming.engine.measures import PROCESS_MEASURES, Chart, Measure
from streaming.engine.registry import all_measures

Values = Mapping[str, float]
"""Values by line. A line that is not there is 0."""


class Charted:
    """The measures that are charted, by name. A line is called `<measure>|<value of the label that it is split by>`."""

    def __init__(self, measures: Sequence[Measure] | None = None) -> None:
        every = (*all_measures(), *PROCESS_MEASURES) if measures is None else measures
        self._measures = {measure.name: (measure, measure.chart) for measure in every if measure.chart is not None}

    def chart(self, line: str) -> Chart | None:
        """How a line is charted; None for one of another version."""
        found = self._measures.get(line.partition("|")[0])
        return None if found is None else found[1]

    def read(self, families: Families) -> tuple[dict[str, float], dict[str, float]]:
        """The values of gauges and of counters, by line."""
        gauges: dict[str, float] = {}
        counters: dict[str, float] = {}
        for family in families:
            for name, labels, value in family.samples:
                found = self._measures.get(name)
                if found is None or not value:
                    continue
                measure, chart = found
                values = gauges if measure.kind == "gauge" else counters
                line = f"{name}|{labels.get(chart.split, '')}" if chart.split else name
                values[line] = values.get(line, 0) + value
        return gauges, counters

    def total(self, processes: Sequence[Values]) -> dict[str, float]:
        """What the values of several processes come to."""
        total: dict[str, float] = {}
        for line in dict.fromkeys(line for values in processes for line in values):
            chart = self.chart(line)
            if chart is not None:
                every = [values.get(line, 0) for values in processes]
                total[line] = rounded(sum(every) if chart.over == "sum" else max(every) if chart.over == "max" else min(every))
        return total

    def over_time(self, moments: Sequence[Values]) -> dict[str, float]:
        """What the values of several moments come to: the mean, or the worst where that is what several processes come to."""
        over: dict[str, float] = {}
        for line in dict.fromkeys(line for values in moments for line in values):
            chart = self.chart(line)
            if chart is not None:
                every = [values.get(line, 0) for values in moments]
                over[line] = rounded(sum(every) / len(every) if chart.over == "sum" else max(every) if chart.over == "max" else min(every))
        return over

    def described(self) -> list[dict[str, Any]]:
        """The charts for a page, in order: title, unit, whether it is a rate, and the measures with what they are split by."""
        charts: dict[str, dict[str, Any]] = {}
        for measure, chart in sorted(self._measures.values(), key=lambda found: found[1].order):
            per_second = measure.kind == "counter" and chart.unit != "cores"
            made = charts.setdefault(
                chart.title, {"title": chart.title, "unit": chart.unit, "rate": per_second, "over": chart.over, "lines": []}
            )
            made["lines"].append({"measure": measure.name, "label": chart.line, "split": chart.split, "help": measure.documentation})
        return list(charts.values())

    def beyond(self, values: Values) -> Iterator[tuple[str, Chart, float]]:
        """The lines of one process that are beyond their bounds."""
        for line, value in values.items():
            chart = self.chart(line)
            if chart is not None and chart.bound is not None and value > chart.bound.above:
                yield line, chart, value


def rounded(value: float) -> float:
    """Four digits: more are not seen, and are kept all the same."""
    return float(f"{value:.4g}")
