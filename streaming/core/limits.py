"""The limits of one connection, as plain numbers, so that the core needs no settings."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class OutboxLimits:
    """How much may wait for one connection, and for how long it may be too much."""

    messages: int = 20_000
    """Messages waiting before the connection counts as slow."""
    bytes: int = 16 * 1024 * 1024
    """Bytes waiting before the connection counts as slow."""
    slow_seconds: float = 30
    """Time over either bound before the connection is closed; four times a bound closes it at once."""
    stalled_seconds: float = 120
    """Time without the socket taking anything while something waits."""
    events: int = 1000
    """Events waiting per subscription; older ones are dropped and counted."""
    write_bytes: int = 256 * 1024
    """Worth of messages encoded and written at a time."""
