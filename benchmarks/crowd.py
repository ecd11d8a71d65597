"""Clients in a process of their own, which gives way to all others."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Any

SPAWN = get_context("spawn")


@contextmanager
def crowd(run: Callable[[Connection], None]) -> Iterator[Callable[[Any], Any]]:
    """Runs it in a process; what is returned sends something to that, and waits for the answer."""
    here, there = SPAWN.Pipe()
    process = SPAWN.Process(target=partial(_give_way, run), args=(there,), daemon=True)
    process.start()
    there.close()

    def ask(what: Any) -> Any:
        here.send(what)
        return here.recv()

    try:
        yield ask
    finally:
        process.terminate()
        process.join()


def _give_way(run: Callable[[Connection], None], pipe: Connection) -> None:
    os.nice(5)
    run(pipe)
