"""Judges rules: when an alert fires, and when it is resolved.

A bound has to be broken for a time before an alert fires, and what clears it has to last as well: a value near a bound does not flap.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from streaming.models import Alert, AlertRule

from .readings import Values

LONGEST_PAUSE_SECONDS = 60.0
"""Nobody looked for so long: what was the case before says nothing of the time between."""


class Change(NamedTuple):
    """An alert fires, or is resolved."""

    rule: int
    node: str
    fires: bool
    value: float
    worst: float


@dataclass(slots=True)
class _State:
    firing: bool = False
    since: float | None = None
    """Since when the opposite is the case."""
    value: float = 0.0
    worst: float = 0.0


class Judge:
    """Knows what fires, and what is about to fire or to be resolved."""

    def __init__(self, firing: Iterable[Alert] = ()) -> None:
        """`firing`: the alerts that another leader has left."""
        self._states = {(alert.rule_id, alert.node): _State(True, None, alert.value, alert.worst) for alert in firing}
        self._looked_at: float | None = None

    @property
    def firing(self) -> set[int]:
        """The rules of which something fires."""
        return {rule for (rule, _), state in self._states.items() if state.firing}

    def look(self, rules: Iterable[AlertRule], values: Values, now: float) -> list[Change]:
        """What has changed by now (in seconds of any clock). Alerts of rules that are not among these are resolved."""
        if self._looked_at is not None and now - self._looked_at > LONGEST_PAUSE_SECONDS:
            for state in self._states.values():
                state.since = None
        self._looked_at = now
        by_key = {rule.pk: rule for rule in rules}
        keys = {(rule, node) for rule in by_key for node in values.get(rule, ())}
        changes = []
        for key in sorted(keys | self._states.keys()):
            rule, value = by_key.get(key[0]), values.get(key[0], {}).get(key[1])
            state = self._states.setdefault(key, _State())
            if (rule is None and state.firing) or (rule is not None and _turns(state, rule, value, now)):
                state.firing = not state.firing
                changes.append(Change(*key, state.firing, state.value, state.worst))
            if not state.firing and (rule is None or value is None):
                del self._states[key]
        return changes


def _turns(state: _State, rule: AlertRule, value: float | None, now: float) -> bool:
    """Whether an alert fires or is resolved now."""
    if value is not None:
        state.value = value
        worst = max if rule.comparison == "above" else min
        state.worst = worst(state.worst, value) if state.firing else value
    if not (is_well(rule, value) if state.firing else is_broken(rule, value)):
        state.since = None
        return False
    if state.since is None:
        state.since = now
    if now - state.since < (rule.clear_seconds if state.firing else rule.for_seconds):
        return False
    state.since = None
    return True


def is_broken(rule: AlertRule, value: float | None) -> bool:
    """Whether a value is beyond the bound; one that is not there is not."""
    if value is None:
        return False
    return value > rule.bound if rule.comparison == "above" else value < rule.bound


def is_well(rule: AlertRule, value: float | None) -> bool:
    """Whether a value clears an alert; so does a process that is not there any more."""
    if value is None:
        return True
    bound = rule.bound if rule.clear_bound is None else rule.clear_bound
    return value <= bound if rule.comparison == "above" else value >= bound
