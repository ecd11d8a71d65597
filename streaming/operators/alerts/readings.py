"""What rules judge: the values of their measures, by process, from the same metrics as `/metrics` has.

Of a counter it is how much it grew in the last minute, in whichever process: one that began anew counts from 0.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable, Mapping

from streaming.engine.exposition import Families
from streaming.engine.measures import Measure
from streaming.engine.registry import all_measures
from streaming.models import AlertRule

WINDOW_SECONDS = 60.0
SITE = ""
"""Stands for the node where all processes are judged together."""
OF_THE_SYSTEM = (
    Measure("process_cpu_seconds_total", "counter", (), "processor time in seconds"),
    Measure("process_resident_memory_bytes", "gauge", (), "memory that the process takes"),
    Measure("process_open_fds", "gauge", (), "open files and connections"),
)
"""What each process has besides the measures of the installed parts, on Linux."""

Values = Mapping[int, Mapping[str, float]]
"""By the primary key of the rule, and the node."""
_Labels = tuple[tuple[str, str], ...]
_Series = tuple[str, str, _Labels]
"""Measure, node, labels."""


def offered_measures() -> dict[str, Measure]:
    """The measures that a rule can be about, by name."""
    return {measure.name: measure for measure in (*all_measures(), *OF_THE_SYSTEM) if measure.kind in ("gauge", "counter")}


def parse_labels(text: str) -> dict[str, str]:
    """The labels of `code=slow, dialect=geo`. `ValueError`."""
    found = {}
    for part in filter(None, (each.strip() for each in text.split(","))):
        name, equals, value = part.partition("=")
        if not (equals and name.strip() and value.strip()):
            raise ValueError(f"{part!r} is not a label and its value, such as code=slow")
        found[name.strip()] = value.strip().strip('"')
    return found


def places(processes: Iterable[Families]) -> dict[str, str]:
    """`host:pid` of each node."""
    families = (family for process in processes for family in process if family.name == "geostream_node_info")
    nodes = [labels for family in families for _, labels, _ in family.samples]
    return {labels["node"]: f"{labels.get('host', '')}:{labels.get('pid', '')}" for labels in nodes}


class Readings:
    """Reads the values of rules, look by look."""

    def __init__(self) -> None:
        self._before: dict[_Series, deque[tuple[float, float]]] = {}
        self._looked = set[str]()

    def look(self, processes: Iterable[Families], rules: Iterable[AlertRule], now: float) -> Values:
        """The values now (in seconds of any clock). A rule has none about a measure that there is not."""
        kinds = {name: measure.kind for name, measure in offered_measures().items()}
        rules = [rule for rule in rules if rule.measure in kinds]
        series = _series(processes, {rule.measure for rule in rules})
        counters = {key: value for key, value in series.items() if kinds[key[0]] == "counter"}
        series.update(self._grown(counters, now))
        by_measure: dict[str, list[tuple[str, _Labels, float]]] = defaultdict(list)
        for (measure, node, labels), value in series.items():
            by_measure[measure].append((node, labels, value))
        return {rule.pk: _values(rule, by_measure[rule.measure]) for rule in rules}

    def _grown(self, counters: Mapping[_Series, float], now: float) -> dict[_Series, float]:
        """How much each has grown. What was not there the last time has begun at 0, unless nobody looked."""
        grown = {}
        before = {key: past for key, past in self._before.items() if key in counters}
        for key, value in counters.items():
            past = before.setdefault(key, deque([(now, 0.0 if key[0] in self._looked else value)]))
            while len(past) > 1 and past[1][0] <= now - WINDOW_SECONDS:
                past.popleft()
            grown[key] = max(value - past[0][1], 0.0)
            past.append((now, value))
        self._before, self._looked = before, {key[0] for key in counters}
        return grown


def _series(processes: Iterable[Families], wanted: set[str]) -> dict[_Series, float]:
    found = {}
    for families in processes:
        for family in families:
            for name, labels, value in family.samples:
                if name in wanted:
                    others = tuple(sorted((label, each) for label, each in labels.items() if label != "node"))
                    found[name, labels.get("node", ""), others] = value
    return found


def _values(rule: AlertRule, series: Iterable[tuple[str, _Labels, float]]) -> dict[str, float]:
    try:
        wanted = parse_labels(rule.labels).items()
    except ValueError:
        return {}
    values: dict[str, float] = {}
    for node, labels, value in series:
        if wanted <= dict(labels).items():
            key = SITE if rule.scope == "site" else node
            values[key] = values.get(key, 0.0) + value
    return values
