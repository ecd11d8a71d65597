"""Doorbells: coalesced, sent from wherever, and never in the way of whoever rings."""

from __future__ import annotations

import asyncio
import re
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from streaming.core.doorbell import Doorbell, feed_group


class Layer:
    """A channel layer that notes what it was given, and may be made to hold on to it."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, int]] = []
        self.open = threading.Event()
        self.open.set()
        self.begun = threading.Event()

    async def group_send(self, group: str, message: dict[str, Any]) -> None:
        assert message["type"] == "feed.changed" and group == feed_group(message["feed"])
        self.begun.set()
        while not self.open.is_set():
            await asyncio.sleep(0.001)
        self.sent.append((message["feed"], message["seq"]))


def eventually(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.001)


@pytest.fixture
def layer() -> Layer:
    return Layer()


@pytest.fixture
def bell(layer: Layer) -> Doorbell:
    bell = Doorbell()
    bell.configure(lambda: layer)
    return bell


def test_a_process_without_a_hub_sends_from_a_thread_of_its_own(bell: Doorbell, layer: Layer) -> None:
    bell.ring("f", 1)
    bell.flush()
    assert layer.sent == [("f", 1)]


def test_rings_that_wait_are_coalesced_to_the_highest_number(bell: Doorbell, layer: Layer) -> None:
    layer.open.clear()
    bell.ring("f", 1)
    assert layer.begun.wait(5)
    for seq in (2, 5, 3):
        bell.ring("f", seq)
    bell.ring("g", 1)
    layer.open.set()
    bell.flush()
    assert layer.sent == [("f", 1), ("f", 5), ("g", 1)]


def test_ringing_does_not_wait_for_a_channel_layer_that_hangs(bell: Doorbell, layer: Layer) -> None:
    layer.open.clear()
    for seq in range(10_000):
        bell.ring("f", seq)
    assert not layer.open.is_set() and not layer.sent
    layer.open.set()
    bell.flush()
    assert layer.sent[-1] == ("f", 9_999) and len(layer.sent) <= 3


def test_flushing_gives_up_on_a_channel_layer_that_hangs(bell: Doorbell, layer: Layer) -> None:
    layer.open.clear()
    bell.ring("f", 1)
    bell.flush(timeout=0.05)
    layer.open.set()
    eventually(lambda: layer.sent == [("f", 1)])


def test_any_thread_may_ring(bell: Doorbell, layer: Layer) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda seq: bell.ring("f", seq), range(1000)))
    eventually(lambda: ("f", 999) in layer.sent)


def test_a_channel_layer_that_fails_costs_a_ring_and_nothing_else(bell: Doorbell, layer: Layer) -> None:
    def broken() -> Layer:
        raise ConnectionError("away")

    bell.configure(broken)
    bell.ring("f", 1)
    bell.flush()
    bell.configure(lambda: layer)
    bell.ring("f", 2)
    bell.flush()
    assert layer.sent == [("f", 2)]


def test_without_a_channel_layer_a_ring_is_lost_quietly() -> None:
    bell = Doorbell()
    bell.ring("f", 1)
    bell.flush()


async def test_a_hub_is_told_first_and_on_its_own_loop(bell: Doorbell, layer: Layer) -> None:
    told: list[tuple[str, int, bool]] = []
    loop_thread = threading.get_ident()
    bell.attach(asyncio.get_running_loop(), lambda feed, seq: told.append((feed, seq, threading.get_ident() == loop_thread)))
    layer.open.clear()
    await asyncio.to_thread(bell.ring, "f", 1)
    while not told:
        await asyncio.sleep(0.001)
    assert told == [("f", 1, True)] and layer.sent == []
    layer.open.set()
    while not layer.sent:
        await asyncio.sleep(0.001)
    bell.detach()


async def test_what_is_being_sent_can_be_waited_for(bell: Doorbell, layer: Layer) -> None:
    bell.attach(asyncio.get_running_loop(), lambda feed, seq: None)
    layer.open.clear()
    bell.ring("f", 1)
    sending = bell.detach()
    assert sending is not None and not sending.done()
    layer.open.set()
    await asyncio.wrap_future(sending)
    assert layer.sent == [("f", 1)]


async def test_nothing_is_waited_for_when_all_was_sent(bell: Doorbell, layer: Layer) -> None:
    bell.attach(asyncio.get_running_loop(), lambda feed, seq: None)
    bell.ring("f", 1)
    while not layer.sent:
        await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert bell.detach() is None


def test_after_a_hub_stopped_the_process_still_rings(bell: Doorbell, layer: Layer) -> None:
    async def attached() -> None:
        bell.attach(asyncio.get_running_loop(), lambda feed, seq: None)
        bell.ring("f", 1)  # its loop ends before this can leave
        bell.detach()

    asyncio.run(attached())
    bell.ring("f", 2)
    bell.flush()
    assert layer.sent[-1] == ("f", 2)


@pytest.mark.parametrize("feed", ["layer:flights", "layer:a b", "layer:ä" * 50, "events", "layer:" + "x" * 200])
def test_a_feeds_group_is_a_name_that_channel_layers_accept(feed: str) -> None:
    assert re.fullmatch(r"[a-zA-Z0-9_.-]{1,99}", feed_group(feed))


def test_feeds_with_long_names_have_groups_of_their_own() -> None:
    common = "layer:" + "Zeitreihe." * 8
    assert feed_group(common + "a") != feed_group(common + "b")
