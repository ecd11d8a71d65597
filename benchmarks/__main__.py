"""`python -m benchmarks`: prints tables, the machine and the versions. Every figure in the documentation comes from here.

One server process, its own Redis, everything on this machine, subscribers and publishers in the measuring process;
`deltas` and `rendering` need no server.
"""

from __future__ import annotations

import argparse
import resource
import sys
from collections.abc import Iterable
from datetime import date
from typing import Any

import uvloop

from . import (
    admin,
    deltas,
    fairness,
    fanout,
    files,
    idle,
    ingest,
    latency,
    machine,
    peers,
    phoenix,
    phoenix_bursts,
    processes,
    redis_commands,
    rendering,
    restarts,
    soak,
    tile_http,
    tile_latency,
    tiles,
)

USUAL = (
    "idle",
    "fanout",
    "latency",
    "peers",
    "ingest",
    "deltas",
    "rendering",
    "tiles",
    "tile_http",
    "tile_latency",
    "phoenix",
    "phoenix_bursts",
    "redis_commands",
    "fairness",
    "processes",
    "files",
    "admin",
    "restarts",
)


def main() -> None:
    """Run what was asked for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("what", nargs="*", choices=[*USUAL, "soak", []], help="default: all but the soak")
    parser.add_argument("--subscribers", type=int, nargs="+", help="instead of 100, 1,000 and 10,000 (of topics: 100, 500 and 5,000)")
    parser.add_argument("--minutes", type=float, default=soak.MINUTES, help="of the soak (default: %(default)g)")
    parser.add_argument("--tangram", metavar="PYTHON", help="measure topics beside the tangram_core that this Python has")
    parser.add_argument("--original", metavar="PYTHON", help="measure Redis commands beside the redis_websocket_api that this Python has")
    parser.add_argument("--only", default="", metavar="TEXT", help="of fairness, the situations whose names have this text in them")
    parser.add_argument("--quick", action="store_true", help="a tenth of the work, for a look")
    options = parser.parse_args()
    _allow_sockets()
    uvloop.install()
    print(f"GeoStream benchmarks, {date.today()}\n{machine.describe()}\n")
    share = 0.1 if options.quick else 1.0
    subscribers = tuple(options.subscribers or (100, 1_000, 10_000))
    for what in options.what or USUAL:
        print(f"{what}: {sys.modules[f'benchmarks.{what}'].__doc__}")
        if what == "idle":
            _print(idle.run(share))
        elif what == "fanout":
            _print(fanout.run(subscribers, int(fanout.DELIVERIES * share)))
        elif what == "latency":
            _print(latency.run(subscribers, latency.SECONDS * max(share, 0.3)))
        elif what == "peers":
            _print(peers.run(share))
        elif what == "ingest":
            _print(ingest.run(share))
        elif what == "rendering":
            _print(rendering.run(share))
        elif what == "tiles":
            _print(tiles.run(share))
        elif what == "tile_http":
            _print(tile_http.run(share))
        elif what == "tile_latency":
            _print(tile_latency.run(share))
        elif what == "phoenix":
            _print(phoenix.run(tuple(options.subscribers or phoenix.MEMBERS), share, options.tangram))
        elif what == "phoenix_bursts":
            _print(phoenix_bursts.run(share, options.tangram))
        elif what == "redis_commands":
            _print(redis_commands.run(share, options.original))
        elif what == "fairness":
            _print(fairness.run(share, options.only))
        elif what == "processes":
            _print(processes.run(share))
        elif what == "files":
            _print(files.run(share))
        elif what == "admin":
            _print(admin.run(share))
        elif what == "restarts":
            _print(restarts.run(share))
        elif what == "soak":
            _print(soak.run(options.minutes))
        else:
            _print(deltas.run(share))


def _allow_sockets() -> None:
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _print(rows: Iterable[dict[str, Any]]) -> None:
    """A Markdown table, line by line."""
    for count, row in enumerate(rows):
        if not count:
            print("| " + " | ".join(row) + " |\n|" + "---|" * len(row))
        cells = (f"{cell:,}" if isinstance(cell, int | float) else str("" if cell is None else cell) for cell in row.values())
        print("| " + " | ".join(cells) + " |", flush=True)
    print()


if __name__ == "__main__":
    main()
