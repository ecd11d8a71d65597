"""The socket that a command serves on. It listens from the start, so that nothing is started in vain if the address is in use."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager

from django.core.management.base import CommandError


@contextmanager
def listening_socket(host: str, port: int, other_port: str, backlog: int = 8192) -> Iterator[socket.socket]:
    """A socket that listens already. `CommandError`, with how to choose another port, if it cannot."""
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        listener = socket.create_server(address[:2], family=family, backlog=backlog)
    except OSError as error:
        raise CommandError(f"Cannot listen on {host}:{port}: {_reason(error)}. Another port: {other_port}") from error
    with listener:
        yield listener


def _reason(error: OSError) -> str:
    """The system's message. `str(error)` would also have the address."""
    return str(error) if isinstance(error, socket.gaierror) else os.strerror(error.errno or 0)
