"""How the official JavaScript client merges presence, in Python: the reference for what our messages must add up to."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

State = dict[str, dict[str, Any]]
Called = Callable[[str, str, Any, Any], None]


def sync_state(current: State, new_state: State, called: Called) -> State:
    """Take a whole state: what is missing from it leaves, what is new in it joins."""
    state = copy.deepcopy(current)
    joins: State = {}
    leaves: State = {key: presence for key, presence in state.items() if key not in new_state}
    for key, presence in new_state.items():
        held = state.get(key)
        if held is None:
            joins[key] = presence
            continue
        new_refs, held_refs = _refs(presence), _refs(held)
        joined = [meta for meta in presence["metas"] if meta["phx_ref"] not in held_refs]
        left = [meta for meta in held["metas"] if meta["phx_ref"] not in new_refs]
        if joined:
            joins[key] = {**presence, "metas": joined}
        if left:
            leaves[key] = {**copy.deepcopy(held), "metas": left}
    return sync_diff(state, {"joins": joins, "leaves": leaves}, called)


def sync_diff(state: State, diff: dict[str, State], called: Called) -> State:
    """Take a difference: joins first, then leaves, matched by `phx_ref`."""
    state = copy.deepcopy(state)
    for key, presence in diff["joins"].items():
        presence = copy.deepcopy(presence)
        held = state.get(key)
        state[key] = presence
        if held is not None:
            joined = _refs(presence)
            presence["metas"] = [meta for meta in held["metas"] if meta["phx_ref"] not in joined] + presence["metas"]
        called("join", key, held, diff["joins"][key])
    for key, presence in diff["leaves"].items():
        held = state.get(key)
        if held is None:
            continue
        left = _refs(presence)
        held["metas"] = [meta for meta in held["metas"] if meta["phx_ref"] not in left]
        called("leave", key, held, presence)
        if not held["metas"]:
            del state[key]
    return state


class PhoenixPresence:
    """One client's picture: differences wait until the first state is there."""

    def __init__(self) -> None:
        self.state: State = {}
        self._pending: list[Any] | None = []

    def take(self, event: str, payload: Any) -> None:
        if event == "presence_state":
            self.state = sync_state(self.state, payload, _silently)
            for diff in self._pending or ():
                self.state = sync_diff(self.state, diff, _silently)
            self._pending = None
        elif event == "presence_diff" and self._pending is not None:
            self._pending.append(payload)
        elif event == "presence_diff":
            self.state = sync_diff(self.state, payload, _silently)

    @property
    def metas(self) -> dict[str, list[dict[str, Any]]]:
        return {key: presence["metas"] for key, presence in self.state.items()}


def _refs(presence: dict[str, Any]) -> set[str]:
    return {meta["phx_ref"] for meta in presence["metas"]}


def _silently(kind: str, key: str, current: Any, presence: Any) -> None:
    pass
