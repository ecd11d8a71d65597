"""The plan for so many clients, changes and layers, from the figures of `costs`, `fanout` and `latency` that were measured last
(`benchmarks/last.json`): arithmetic, no measurement. `docs/scaling.md` has the formulas.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterator
from typing import NamedTuple

from .figures import Figures, Row

MEASURED = ("costs", "fanout", "latency")
"""What the plan follows from."""
PROCESS_MB = 150
UTILIZATION = 0.6
"""Of a core, beyond which waiting times grow: what a process and Redis are planned for."""


class Load(NamedTuple):
    """What is to be served."""

    clients: int
    """Each subscribed to one layer."""
    changes: float
    """A second, in all layers together."""
    layers: int
    visible: float
    """Part of the changes of its layer that a client is told."""
    features: int
    """In each layer."""
    message_bytes: int
    cores: int
    """Of a machine; one of them is Redis' on the machine that runs it."""


def add_arguments(group: argparse._ArgumentGroup) -> None:
    """The options of the command line."""
    group.add_argument("--clients", type=int, default=1_000, help="each subscribed to one layer (default: %(default)s)")
    group.add_argument("--changes", type=float, default=1_000, help="a second, in all layers together (default: %(default)s)")
    group.add_argument("--layers", type=int, default=1, help="(default: %(default)s)")
    group.add_argument(
        "--visible", type=float, default=0.25, help="part of them that a client's filter lets through (default: %(default)s)"
    )
    group.add_argument("--features", type=int, default=10_000, help="in each layer (default: %(default)s)")
    group.add_argument("--message-bytes", type=int, default=400, help="of one change on the wire (default: %(default)s)")
    group.add_argument("--cores", type=int, default=4, help="of a machine (default: %(default)s)")


def chosen(options: argparse.Namespace) -> Load:
    """What the command line says."""
    return Load(*(getattr(options, name) for name in Load._fields))


class Costs(NamedTuple):
    """Measured, of one change, delivery, connection or feature."""

    change_us: float
    """Processor time of a process that follows the layer."""
    redis_us: float
    """Of Redis, to store and announce it."""
    read_us: float
    """Of Redis, for each process that reads it."""
    delivery_us: float
    connection_bytes: float
    feature_bytes: float
    redis_feature_bytes: float


def costs(load: Load, figures: Figures) -> Costs:
    """The rows measured with what is nearest to the load."""
    together = load.changes / load.layers * 0.01  # that come within the ten milliseconds in which changes are gathered
    by_batch = [row for row in figures.rows("costs") if row["batch"]]
    held = next(row for row in figures.rows("costs") if not row["batch"])
    change = min(by_batch, key=lambda row: abs(math.log(row["batch"] / max(1.0, together))))
    view = "same" if load.visible == 1 else "own"
    fanned = [row for row in figures.rows("fanout") if row["views"] == view]
    delivery: Row = min(fanned, key=lambda row: (abs(math.log(row["subscribers"] / load.clients)), abs(row["batch"] - together)))
    delivery_us = delivery["CPU µs/delivery"]
    if together < 2:  # one message at a time: what the system call costs is not shared
        single = min(figures.rows("latency"), key=lambda row: abs(math.log(row["subscribers"] / load.clients)))
        delivery_us = max(delivery_us, single["server CPU %"] * 1e4 / (single["subscribers"] * single["changes/s"]))
    weighed = [row for row in fanned if row["kB/connection"]]
    memory = min(weighed, key=lambda row: abs(math.log(row["subscribers"] / load.clients)))["kB/connection"] * 1000
    return Costs(
        change["process µs"],
        change["Redis µs"],
        change["Redis µs to read"],
        delivery_us,
        memory,
        held["process bytes"],
        held["Redis bytes"],
    )


def run(load: Load, figures: Figures) -> Iterator[Row]:
    """The plan, line by line."""
    if missing := [what for what in MEASURED if not figures.rows(what)]:
        raise SystemExit(
            f"nothing is known of {', '.join(missing)}: python -m benchmarks {' '.join(MEASURED)} --json FILE, then --against FILE"
        )
    cost = costs(load, figures)
    deliveries = load.changes / load.layers * load.clients * load.visible
    distributing = deliveries * cost.delivery_us / 1e6
    following = load.changes * cost.change_us / 1e6  # by each process, if clients of every layer are with it
    processes = _processes(distributing, following)
    redis = load.changes * (cost.redis_us + (processes or 1) * cost.read_us) / 1e6
    reading = load.changes * load.message_bytes * (processes or 1) * 8 / 1e6
    yield _line("deliveries", deliveries, "1/s", "changes / layers x clients x visible")
    yield _line("to clients", deliveries * load.message_bytes * 8 / 1e6, "Mbit/s", "deliveries x bytes")
    yield _line("distributing", distributing, "cores", f"deliveries x {cost.delivery_us} µs")
    yield _line("following, in each process", following, "cores", f"changes x {cost.change_us} µs")
    if processes is None:
        yield _line("server processes", math.inf, "", "each would follow all changes: more than its share of a core. Spread the layers")
        return
    yield _line("server processes", processes, "", f"distributing / processes + following: at most {UTILIZATION:.0%} of a core")
    yield _line("clients, per process", load.clients / processes, "", "")
    features = load.layers * load.features
    memory = load.clients / processes * cost.connection_bytes + features * cost.feature_bytes
    yield _line("memory, per process", PROCESS_MB + memory / 1e6, "MB", f"{PROCESS_MB} + connections + features of all layers")
    yield _line("memory of Redis", features * cost.redis_feature_bytes / 1e6, "MB", "features, without the log of changes")
    yield _line("Redis", redis, "cores", "changes x (storing + processes x reading)")
    yield _line("from Redis", reading, "Mbit/s", "changes x bytes x processes")
    primaries = max(1, math.ceil(redis / UTILIZATION))
    yield _line("primaries of Redis", primaries, "", "one server" if primaries == 1 else "redis+cluster://, layers are spread over them")
    yield _line("machines", math.ceil((processes + primaries) / load.cores), "", f"of {load.cores} cores")


def _processes(distributing: float, following: float) -> int | None:
    """The fewest whose share is below `UTILIZATION`; None if following alone is more."""
    room = UTILIZATION - following
    return None if room <= 0 else max(1, math.ceil(distributing / room))


def _line(what: str, amount: float, unit: str, how: str) -> Row:
    return {"what": what, "amount": round(amount, 2 if amount < 10 else None) if amount != math.inf else "none", "unit": unit, "how": how}
