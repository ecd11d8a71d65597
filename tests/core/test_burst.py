"""Writes to many sockets that are gathered: all of them arrive, each socket's in order, whatever a socket takes."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from streaming.core.burst import MOST, Burst, write_some


class Owner:
    """A socket's owner, who keeps what the socket did not take."""

    def __init__(self, own: socket.socket) -> None:
        self.descriptor = own.fileno()
        self.rest = b""

    def write_rest(self, data: memoryview) -> None:
        self.rest += data

    def write(self, data: bytes) -> None:
        self.rest += data if self.rest else data[write_some(self.descriptor, data) :]


class Pair:
    def __init__(self) -> None:
        self._own, self._peer = socket.socketpair()
        self._own.setblocking(False)
        self._peer.setblocking(False)
        self.owner = Owner(self._own)

    def fill(self) -> None:
        """Write until the socket takes no more."""
        while write_some(self.owner.descriptor, bytes(65536)):
            pass

    def received(self) -> bytes:
        data = b""
        while True:
            try:
                data += self._peer.recv(65536)
            except BlockingIOError:
                return data

    def close(self) -> None:
        self._own.close()
        self._peer.close()

    def close_peer(self) -> None:
        self._peer.close()


@pytest.fixture
def pairs() -> Iterator[list[Pair]]:
    made = [Pair() for _ in range(3)]
    yield made
    for pair in made:
        pair.close()


def add(burst: Burst, pair: Pair, data: bytes) -> None:
    burst.add(pair.owner.descriptor, data, pair.owner)


def test_nothing_is_sent_before_the_end(pairs: list[Pair]) -> None:
    burst = Burst()
    with burst:
        add(burst, pairs[0], b"a")
        add(burst, pairs[1], b"b")
        before = [pair.received() for pair in pairs]
    assert before == [b"", b"", b""]
    assert [pair.received() for pair in pairs] == [b"a", b"b", b""]


def test_much_is_sent_at_once(pairs: list[Pair]) -> None:
    burst = Burst()
    with burst:
        for _ in range(MOST):
            add(burst, pairs[0], b"a")
        assert pairs[0].received() == b"a" * MOST


def test_what_was_gathered_is_sent_although_something_failed(pairs: list[Pair]) -> None:
    burst = Burst()
    with pytest.raises(ZeroDivisionError), burst:
        add(burst, pairs[0], b"a")
        raise ZeroDivisionError
    assert pairs[0].received() == b"a"
    assert not burst.depth


def test_a_burst_within_a_burst_ends_neither_too_early(pairs: list[Pair]) -> None:
    burst = Burst()
    with burst:
        with burst:
            add(burst, pairs[0], b"a")
        assert burst.depth
    assert not burst.depth


def test_what_a_full_socket_does_not_take_stays_in_order_with_its_owner(pairs: list[Pair]) -> None:
    burst = Burst()
    pairs[0].fill()
    with burst:
        add(burst, pairs[0], b"a")
        add(burst, pairs[1], b"b")
        add(burst, pairs[0], b"c")
    assert pairs[0].owner.rest == b"ac"
    assert pairs[1].received() == b"b"


def test_a_socket_whose_peer_has_left_does_not_disturb_the_others(pairs: list[Pair]) -> None:
    burst = Burst()
    pairs[0].close_peer()
    with burst:
        add(burst, pairs[0], b"a")
        add(burst, pairs[1], b"b")
    assert pairs[0].owner.rest == b"a"
    assert pairs[1].received() == b"b"
