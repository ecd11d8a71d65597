"""Topics, bursts: 5,000 messages of 300 bytes published in one Redis pipeline, to 500 members of one topic who read as fast as they can.

"seconds": from before the first leaves the backend until the last has arrived anywhere. "cut": members that the server hung up on.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from typing import Any

import redis

from .phoenix import CHANNEL, settle, warm_up
from .phoenix_clients import FIRST_STAMP, members, message
from .phoenix_servers import contenders, serving
from .stack import Server

MEMBERS = 500
MESSAGES = 5_000
BURSTS = 3


def measure(name: str, server: Server, messages: int) -> Iterator[dict[str, Any]]:
    """A row for each burst."""
    with redis.Redis.from_url(server.redis_url) as backend:
        warm_up(server, backend)
        with members(server.port, MEMBERS) as clients:
            settle(server)
            for number in range(BURSTS):
                cpu, received, began = server.cpu, clients.received, time.perf_counter()
                burst(backend, number * messages, messages)
                clients.settle(received + messages * MEMBERS)
                settle(server)
                received = clients.received - received
                seconds = clients.last_at - began if received else None
                yield {
                    "server": name,
                    "members": MEMBERS,
                    "messages": messages,
                    "deliveries": received,
                    "lost": messages * MEMBERS - received,
                    "cut": clients.cut,
                    "seconds": seconds and round(seconds, 2),
                    "deliveries/s": seconds and round(received / seconds),
                    "CPU µs/delivery": round((server.cpu - cpu) / received * 1e6, 2) if received else None,
                }


def burst(backend: redis.Redis, first: int, count: int) -> None:
    """All at once."""
    pipe = backend.pipeline(transaction=False)
    for number in range(first, first + count):
        pipe.publish(CHANNEL, message(FIRST_STAMP + number))
    pipe.execute()


def run(share: float, tangram: str | None) -> Iterator[dict[str, Any]]:
    """All rows, as they are measured."""
    for name in contenders(tangram):
        with serving(name, tangram) as server:
            try:
                yield from measure(name, server, int(MESSAGES * share))
            except ConnectionError as error:
                print(f"{name}: {error}", file=sys.stderr)
