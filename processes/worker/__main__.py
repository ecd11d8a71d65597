"""Runs a worker: `python -m processes.worker package.module:worker --url wss://maps.example.org/ws/processes --token …`."""

from __future__ import annotations

import argparse
import importlib
import logging
import os
import sys

from .worker import Worker


def main() -> int:
    """The exit code: 1 if there is no such worker, or the server does not take it."""
    options = _arguments()
    logging.basicConfig(level=options.log_level, format="{asctime} {levelname} {name}: {message}", style="{")
    logging.getLogger("websockets").setLevel(logging.WARNING)
    sys.path.insert(0, os.getcwd())
    module, _, attribute = options.worker.partition(":")
    worker = getattr(importlib.import_module(module), attribute or "worker")
    if not isinstance(worker, Worker):
        sys.stderr.write(f"{options.worker} is no Worker\n")
        return 1
    for name in ("url", "token", "name", "concurrency"):
        if value := getattr(options, name):
            setattr(worker, name, value)
    worker.run(options.drain_seconds)
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m processes.worker", description="Run a worker that offers processes to a server.")
    parser.add_argument("worker", help="the worker, as module:name (name: worker)")
    parser.add_argument("--url", help="address of the server: wss://HOST/ws/processes (default: GEOSTREAM_WORKER_URL)")
    parser.add_argument("--token", help="token of the worker (default: GEOSTREAM_WORKER_TOKEN, which others on the machine do not see)")
    parser.add_argument("--name", help="name of the worker, the same at each start")
    parser.add_argument("--concurrency", type=int, help="jobs that it does at once")
    parser.add_argument("--drain-seconds", type=float, default=30.0, help="how long jobs may take to end after SIGTERM (default: 30)")
    parser.add_argument("--log-level", default="INFO", help="DEBUG, INFO (default), WARNING or ERROR")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
