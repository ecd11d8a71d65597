"""Members of one topic in a process of their own: plain sockets and one `epoll`, so that reading costs little beside the server.

What is published carries a stamp of 16 digits that only grows. A member counts those that come in order, so as many as were published
means that each came once; frames are not taken apart. A stamp may also be the time, for which there is one clock on one machine.
"""

from __future__ import annotations

import base64
import multiprocessing
import os
import re
import select
import socket
import time
from array import array
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from operator import lt
from typing import Any

import jwt
import msgspec
import numpy as np
from numpy.typing import NDArray

from .phoenix_servers import SECRET
from .swarm import masked

TOPIC = "room:bench"
EVENT = "news"
BYTES = 300
"""Of each message."""
FIRST_STAMP = 10**15
_STATUS = re.compile(rb'"status":"(\w+)"')
_ROOM = 1 << 18
_AT_ONCE = 50
"""Members that may be joining at a time."""
_JOIN_SECONDS = 180.0
"""Within which all have to have joined."""


def message(stamp: int) -> bytes:
    """A payload."""
    return b'{"at":%d,"text":"' % stamp + b"x" * (BYTES - 33) + b'"}'


def now() -> int:
    """The time as a stamp: microseconds."""
    return FIRST_STAMP + time.perf_counter_ns() // 1000


class Member:
    """One socket and its join. Subclasses join something else."""

    __slots__ = ("_first", "carry", "joined", "last", "tcp", "upgraded")

    path = "/websocket?vsn=2.0.0"
    stamp = re.compile(rb'"at":(\d{16})')
    carried = 20
    """One byte less than a stamp: so much of what was read before may belong to what comes now."""

    def __init__(self, port: int, number: int) -> None:
        self.upgraded = self.joined = False
        self.carry, self.last = b"", b""
        self._first = self.first_frames(number)
        self.tcp = socket.create_connection(("127.0.0.1", port))
        key = base64.b64encode(os.urandom(16)).decode()
        self.tcp.sendall(
            f"GET {self.path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )
        self.tcp.setblocking(False)

    def first_frames(self, number: int) -> bytes:
        """What the member of this number sends as soon as it may."""
        claims = {"id": f"user-{number}", "channel": TOPIC, "exp": int(time.time()) + 3600}
        token = jwt.encode(claims, SECRET, "HS256")
        return masked(msgspec.json.encode(["1", "1", TOPIC, "phx_join", {"token": token}]))

    def answered(self) -> bool:
        """Whether what came until now says that it has joined. `ConnectionError` if it may not."""
        status = _STATUS.search(self.carry)
        if status and status[1] != b"ok":
            raise ConnectionError(self.carry.decode(errors="replace"))
        return status is not None

    def take_joining(self, data: bytes) -> None:
        """The answers to the upgrade and to the join, before anything else that matters."""
        self.carry += data
        if not self.upgraded and b"\r\n\r\n" in self.carry:
            head, _, self.carry = self.carry.partition(b"\r\n\r\n")
            if b" 101 " not in head:
                raise ConnectionError(head.decode(errors="replace"))
            self.upgraded = True
            self.tcp.sendall(self._first)
        if self.upgraded and self.answered():
            self.joined = True
            self.carry = b"\0" * self.carried


MakeMember = Callable[[int, int], Member]
"""Of a port and a number; can be pickled."""


class _Members:
    """All of them. `counters`: received, cut, when the last message came, whether to note how long each took."""

    def __init__(self, port: int, count: int, counters: Any, member: MakeMember) -> None:
        self._port = port
        self._member = member
        self._due = deque(range(count))
        self._joining = 0
        self._counters = counters
        self._by_file: dict[int, Member] = {}
        self._poll = select.epoll()
        self._room = bytearray(_ROOM)
        self.latencies: array[int] = array("q")

    def join(self) -> float:
        """Everybody joins, some at a time; returns the seconds it took. `ConnectionError` if it takes too long."""
        began = time.perf_counter()
        while self._due or self._joining:
            if time.perf_counter() - began > _JOIN_SECONDS:
                raise ConnectionError(f"{len(self._by_file) - self._joining:,} joined within {_JOIN_SECONDS:g} s")
            while self._due and self._joining < _AT_ONCE:
                member = self._member(self._port, self._due.popleft())
                self._by_file[member.tcp.fileno()] = member
                self._poll.register(member.tcp.fileno(), select.EPOLLIN)
                self._joining += 1
            self.read()
        return time.perf_counter() - began

    def read(self) -> None:
        """What has come, if anything comes within a moment."""
        for file, _ in self._poll.poll(0.05):
            member = self._by_file[file]
            try:
                self._take(member)
            except ConnectionError as error:
                self._cut(member, error)

    def _take(self, member: Member) -> None:
        carried = len(member.carry) if member.joined else 0
        self._room[:carried] = member.carry if member.joined else b""
        view = memoryview(self._room)
        length = member.tcp.recv_into(view[carried:])
        if not length:
            raise ConnectionResetError("the server hung up")
        if not member.joined:
            member.take_joining(bytes(view[:length]))
            self._joining -= member.joined
            return
        stamps = member.stamp.findall(view[: carried + length])
        member.carry = bytes(view[length : carried + length])
        if stamps:
            self._count(member, stamps)

    def _count(self, member: Member, stamps: list[bytes]) -> None:
        counters = self._counters
        counters[0] += (stamps[0] > member.last) + sum(map(lt, stamps, stamps[1:]))
        member.last = stamps[-1]
        at = time.perf_counter_ns() // 1000
        counters[2] = at
        if counters[3]:
            self.latencies.extend(at + FIRST_STAMP - int(stamp) for stamp in stamps)

    def _cut(self, member: Member, error: ConnectionError) -> None:
        self._counters[1] += 1
        if not member.joined:
            raise ConnectionError(f"{error.strerror or error} ({len(self._by_file) - self._joining:,} had joined)")
        self._poll.unregister(member.tcp.fileno())
        del self._by_file[member.tcp.fileno()]
        member.tcp.close()


class Clients:
    """The members in their process, as this one sees them."""

    def __init__(self, pipe: Any, counters: Any, process: Any) -> None:
        self._pipe = pipe
        self._counters = counters
        self._process = process
        told: float | str = self._told()
        if isinstance(told, str):
            raise ConnectionError(told)
        self.join_seconds = told

    @property
    def received(self) -> int:
        """Messages that came in order, of all members."""
        return int(self._counters[0])

    @property
    def cut(self) -> int:
        """Members that the server hung up on."""
        return int(self._counters[1])

    @property
    def last_at(self) -> float:
        """When the last message came, on the clock of `time.perf_counter`."""
        return float(self._counters[2]) / 1e6

    def settle(self, expected: int, quiet: float = 3.0) -> None:
        """Until so many messages came, or nothing for some seconds."""
        received, since = -1, time.perf_counter()
        while received != expected and time.perf_counter() - since < quiet:
            if self.received != received:
                received, since = self.received, time.perf_counter()
            time.sleep(0.005)

    def note_latencies(self, on: bool) -> None:
        """Note how long messages take, whose stamps are times."""
        self._counters[3] = on

    def latencies(self) -> NDArray[np.int64]:
        """How long each took that was noted, in microseconds."""
        self._pipe.send("latencies")
        return np.frombuffer(self._told(), np.int64)

    def _told(self) -> Any:
        while not self._pipe.poll(0.5):
            if not self._process.is_alive():
                raise ConnectionError("the members are gone")
        try:
            return self._pipe.recv()
        except EOFError as error:
            raise ConnectionError("the members are gone") from error


@contextmanager
def members(port: int, count: int, member: MakeMember = Member) -> Iterator[Clients]:
    """So many members, all of them joined. `ConnectionError` if they cannot be."""
    spawning = multiprocessing.get_context("spawn")
    counters = spawning.RawArray("q", 4)
    here, there = spawning.Pipe()
    process = spawning.Process(target=_run, args=(port, count, counters, there, member), daemon=True)
    process.start()
    there.close()
    try:
        yield Clients(here, counters, process)
    finally:
        process.terminate()
        process.join()


def _run(port: int, count: int, counters: Any, pipe: Any, member: MakeMember) -> None:
    members = _Members(port, count, counters, member)
    try:
        pipe.send(members.join())
    except OSError as error:
        pipe.send(str(error))
        return
    while True:
        members.read()
        if pipe.poll():
            pipe.recv()
            pipe.send(members.latencies.tobytes())
