"""`python -m benchmarks`: prints tables, the machine and the versions. Every figure in the documentation comes from here.

One server process, its own Redis, everything on this machine, subscribers and publishers in the measuring process;
`viewports`, `large_layers`, `deltas`, `feature_deltas`, `dictionaries` and `rendering` need no server.
"""

from __future__ import annotations

import argparse
import resource
import sys
from collections.abc import Callable, Iterable
from datetime import date
from pathlib import Path
from typing import Any

import uvloop

from . import (
    admin,
    aggregates,
    capacity,
    costs,
    deltas,
    dictionaries,
    fairness,
    fanout,
    feature_deltas,
    files,
    idle,
    ingest,
    large_layers,
    latency,
    live_map,
    machine,
    peers,
    phoenix,
    phoenix_bursts,
    processes,
    redis_commands,
    rendering,
    restarts,
    soak,
    storms,
    tile_http,
    tile_latency,
    tiles,
    viewports,
)
from .figures import LAST, Figures

Rows = Iterable[dict[str, Any]]
RUNS: dict[str, Callable[[argparse.Namespace, float], Rows]] = {
    "idle": lambda options, share: idle.run(share),
    "costs": lambda options, share: costs.run(share),
    "fanout": lambda options, share: fanout.run(_subscribers(options), int(fanout.DELIVERIES * share)),
    "viewports": lambda options, share: viewports.run(share),
    "large_layers": lambda options, share: large_layers.run(share),
    "latency": lambda options, share: latency.run(_subscribers(options), latency.SECONDS * max(share, 0.3)),
    "peers": lambda options, share: peers.run(share),
    "aggregates": lambda options, share: aggregates.run(share),
    "live_map": lambda options, share: live_map.run(share, options.rate),
    "ingest": lambda options, share: ingest.run(share),
    "deltas": lambda options, share: deltas.run(share),
    "feature_deltas": lambda options, share: feature_deltas.run(share),
    "dictionaries": lambda options, share: dictionaries.run(share),
    "rendering": lambda options, share: rendering.run(share),
    "tiles": lambda options, share: tiles.run(share),
    "tile_http": lambda options, share: tile_http.run(share, options.titiler),
    "tile_latency": lambda options, share: tile_latency.run(share),
    "phoenix": lambda options, share: phoenix.run(tuple(options.subscribers or phoenix.MEMBERS), share, options.tangram),
    "phoenix_bursts": lambda options, share: phoenix_bursts.run(share, options.tangram),
    "redis_commands": lambda options, share: redis_commands.run(share, options.original),
    "fairness": lambda options, share: fairness.run(share, options.only),
    "processes": lambda options, share: processes.run(share),
    "files": lambda options, share: files.run(share),
    "admin": lambda options, share: admin.run(share),
    "restarts": lambda options, share: restarts.run(share),
    "storms": lambda options, share: storms.run(share),
    "soak": lambda options, share: soak.run(options.minutes),
    "capacity": lambda options, share: capacity.run(capacity.chosen(options), Figures(options.against)),
}
UNUSUAL = ("live_map", "soak", "capacity")
"""Run only when named."""


def main() -> None:
    """Run what was asked for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("what", nargs="*", choices=[*RUNS, []], help=f"default: all but {', '.join(UNUSUAL)}")
    parser.add_argument("--subscribers", type=int, nargs="+", help="instead of 100, 1,000 and 10,000 (of topics: 100, 500 and 5,000)")
    parser.add_argument("--minutes", type=float, default=soak.MINUTES, help="of the soak (default: %(default)g)")
    parser.add_argument("--rate", type=int, default=live_map.RATE, help="of live_map: changes a second (default: %(default)s)")
    parser.add_argument("--tangram", metavar="PYTHON", help="measure topics beside the tangram_core that this Python has")
    parser.add_argument("--titiler", metavar="PYTHON", help="measure tiles over HTTP beside the TiTiler that this Python has")
    parser.add_argument("--original", metavar="PYTHON", help="measure Redis commands beside the redis_websocket_api that this Python has")
    parser.add_argument("--only", default="", metavar="TEXT", help="of fairness, the situations whose names have this text in them")
    parser.add_argument("--quick", action="store_true", help="a tenth of the work, for a look")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there, too")
    parser.add_argument("--against", type=Path, metavar="FILE", default=LAST, help="figures to compare with (default: %(default)s)")
    capacity.add_arguments(parser.add_argument_group("capacity", capacity.__doc__))
    options = parser.parse_args()
    _allow_sockets()
    uvloop.install()
    print(f"GeoStream benchmarks, {date.today()}\n{machine.describe()}\n")
    share = 0.1 if options.quick else 1.0
    figures = Figures(options.against)
    for what in options.what or [each for each in RUNS if each not in UNUSUAL]:
        print(f"{what}: {sys.modules[f'benchmarks.{what}'].__doc__}")
        figures.add(what, _print(figures.compared(what, RUNS[what](options, share))))
        if options.json:
            figures.save(options.json)


def _subscribers(options: argparse.Namespace) -> tuple[int, ...]:
    return tuple(options.subscribers or (100, 1_000, 10_000))


def _allow_sockets() -> None:
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _print(rows: Iterable[tuple[dict[str, Any], dict[str, str]]]) -> list[dict[str, Any]]:
    """A Markdown table, line by line; each figure with its ratio to the last one."""
    printed: list[dict[str, Any]] = []
    for row, ratios in rows:
        if not printed:
            print("| " + " | ".join(row) + " |\n|" + "---|" * len(row))
        cells = ((f"{cell:,}" if isinstance(cell, int | float) else str("" if cell is None else cell)) for cell in row.values())
        print("| " + " | ".join(cell + ratios.get(name, "") for name, cell in zip(row, cells, strict=True)) + " |", flush=True)
        printed.append(row)
    print()
    return printed


if __name__ == "__main__":
    main()
