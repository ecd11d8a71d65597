"""A burst: small writes to many sockets, gathered first and then made one after the other.

A system call that sends leaves little in the processor's caches of what prepares the next one: prepared together and sent together, they
take less. What is left is mostly the system calls (`python -m benchmarks latency`).
"""

from __future__ import annotations

import os
from types import TracebackType
from typing import Protocol

MOST = 64
"""Writes that are gathered: a third of a millisecond's worth."""


class Writer(Protocol):
    """The owner of a socket."""

    def write_rest(self, data: memoryview) -> None:
        """Write, later, what the socket did not take now."""

    def write(self, data: bytes) -> None:
        """Write behind what waits."""


class Burst:
    """While it is entered, what sockets are to be sent is gathered; it is sent when there is much of it, and at the end.

    In between nothing may be awaited. A socket whose data do not all go through the burst has to `flush` it first.
    """

    __slots__ = ("_writes", "depth")

    def __init__(self) -> None:
        self.depth = 0
        """How often it is entered: while that is not 0, what is to be sent belongs into it."""
        self._writes: list[tuple[int, bytes, Writer]] = []

    def __enter__(self) -> None:
        self.depth += 1

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self.depth -= 1
        self.flush()

    def add(self, descriptor: int, data: bytes, writer: Writer) -> None:
        """Write data to a socket, of which nothing waits elsewhere."""
        self._writes.append((descriptor, data, writer))
        if len(self._writes) >= MOST:
            self.flush()

    def flush(self) -> None:
        """Write what was gathered. Once a socket does not take everything, the owners write the rest."""
        if not self._writes:
            return
        writes, self._writes = self._writes, []
        for at, (descriptor, data, writer) in enumerate(writes):
            sent = write_some(descriptor, data)
            if sent < len(data):
                writer.write_rest(memoryview(data)[sent:])
                depth, self.depth = self.depth, 0
                for _, later, owner in writes[at + 1 :]:
                    owner.write(later)
                self.depth = depth
                return


def write_some(descriptor: int, data: bytes) -> int:
    """Write to a socket as much as it takes now; returns how many bytes that was."""
    try:
        return os.write(descriptor, data)
    except OSError:  # it is full, or broken: its transport handles both
        return 0


burst = Burst()
"""Of this process: of the thread with its event loop."""
