"""What throttles hold is told in time, by a timer that runs only while something is held."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest

from streaming.core import throttle as throttle_module
from streaming.core import turns as turns_module
from streaming.core.deliveries import Delivery
from streaming.core.feed import Cursor, Feed, FeedState, LogEntry, parse_item
from streaming.core.filters import FilterSpec, compile_filter
from streaming.core.limits import OutboxLimits
from streaming.core.outbox import Outbox
from streaming.core.replica import Replica
from streaming.core.throttle import STILL_SECONDS, Releases, Throttle
from streaming.core.turns import Turns
from streaming.core.view import View
from tests.timers import timers_set

from .doubles import RecordingEncoder, RecordingSender

VALUE = b'0000000000000{"geometry":null,"n":%d,"type":"Feature"}'
EVERYTHING = compile_filter(FilterSpec())


class Scene:
    """A replica with subscribers, and its timer."""

    def __init__(self, turns: Turns | None = None) -> None:
        self.releases = Releases(turns)
        self.replica = Replica(Feed("f"), FeedState(Cursor("e", 0), {}))
        self.replica.on_held = self.releases.hold

    def subscribe(self, max_rate: float, encoder: Any = None) -> tuple[View, RecordingSender]:
        sender = RecordingSender()
        view = View(Outbox(sender, OutboxLimits(), lambda why: None), encoder or RecordingEncoder(), EVERYTHING, max_rate)
        self.replica.join(view)
        return view, sender

    def put(self, key: str) -> None:
        seq = self.replica.seq + 1
        old = self.replica.items.get(key)
        self.replica.apply([LogEntry(seq, key, VALUE % (seq - 1) if old else None, VALUE % seq, None)])


@pytest.fixture
async def scene() -> AsyncIterator[Scene]:
    scene = Scene()
    yield scene
    scene.releases.stop()


async def until_told(sender: RecordingSender, count: int) -> float:
    """Returns when that was."""
    async with asyncio.timeout(5):
        while len(sender.told) < count:
            await asyncio.sleep(0)
    return time.monotonic()


async def test_what_is_held_is_told_once_it_is_due(scene: Scene) -> None:
    _, sender = scene.subscribe(max_rate=10)
    began = time.monotonic()
    scene.put("a")
    scene.put("a")
    assert len(sender.told) == 1
    assert await until_told(sender, 2) >= began + 0.1
    assert sender.told[1].cursor == "e:2"


async def test_no_timer_runs_while_nothing_is_held(scene: Scene) -> None:
    _, sender = scene.subscribe(max_rate=2)
    scene.put("a")
    scene.put("b")
    assert not scene.releases.waiting
    scene.put("a")
    assert scene.releases.waiting
    await until_told(sender, 3)
    assert not scene.releases.waiting


async def test_the_timer_is_set_once_for_what_is_due_last(scene: Scene) -> None:
    _, sender = scene.subscribe(max_rate=5)
    with timers_set() as timers:
        for _ in range(10):
            scene.put("a")
        await until_told(sender, 2)
    assert [round(timer.seconds, 1) for timer in timers if timer.seconds < 4] == [0.2]


async def test_the_timer_is_set_for_what_is_still_held(scene: Scene) -> None:
    _, sender = scene.subscribe(max_rate=2)
    scene.put("a")
    await asyncio.sleep(0.2)
    scene.put("b")
    with timers_set() as timers:
        scene.put("a")
        scene.put("b")
        await until_told(sender, 4)
    assert [round(timer.seconds, 1) for timer in timers if timer.seconds < 4] == [0.3, 0.2]


async def test_what_is_due_sooner_does_not_wait_for_what_is_due_later(scene: Scene) -> None:
    _, slow = scene.subscribe(max_rate=0.01)
    _, fast = scene.subscribe(max_rate=20)
    scene.put("a")
    scene.put("a")
    await until_told(fast, 2)
    assert len(slow.told) == 1 and scene.releases.waiting


async def test_what_comes_again_and_again_does_not_put_the_release_off(scene: Scene) -> None:
    _, sender = scene.subscribe(max_rate=20)
    scene.put("a")
    async with asyncio.timeout(5):
        while len(sender.told) < 3:
            scene.put("a")
            await asyncio.sleep(0.001)


async def test_the_timer_stops_when_the_view_leaves(scene: Scene) -> None:
    view, sender = scene.subscribe(max_rate=20)
    scene.put("a")
    scene.put("a")
    scene.replica.leave(view)
    async with asyncio.timeout(5):
        while scene.releases.waiting:
            await asyncio.sleep(0.01)
    assert len(sender.told) == 1


async def test_a_view_that_comes_back_with_something_held_is_told_it(scene: Scene) -> None:
    view, sender = scene.subscribe(max_rate=20)
    scene.put("a")
    scene.put("a")
    scene.replica.leave(view)
    scene.releases.release(time.monotonic() + 1)
    assert len(sender.told) == 1
    scene.replica.join(view)
    await until_told(sender, 2)


async def test_a_view_that_cannot_be_told_ends_and_the_others_are_told(scene: Scene, caplog: pytest.LogCaptureFixture) -> None:
    class Broken(RecordingEncoder):
        def frames(self, *args: Any) -> list[Any]:
            if self.calls:
                raise ValueError("cannot be")
            return super().frames(*args)

    broken, _ = scene.subscribe(max_rate=20, encoder=Broken())
    _, sender = scene.subscribe(max_rate=20)
    scene.put("a")
    scene.put("a")
    await until_told(sender, 2)
    assert broken.follows is None
    assert [record.levelno for record in caplog.records] == [logging.ERROR]


async def test_what_is_due_is_released_some_at_a_time_and_promises_no_more_than_was_sent(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(throttle_module, "RELEASED", 2)
    view, sender = scene.subscribe(max_rate=20)
    for _ in range(2):
        for key in "abcde":
            scene.put(key)
    assert view.cursor == "e:5"
    view.release(time.monotonic() + 1)
    assert [one.cursor for one in sender.told[5:]] == [None, "e:7"] and view.cursor == "e:7"
    scene.releases.release(time.monotonic() + 1)
    assert [one.key for one in sender.told[5:]] == list("abcde") and sender.told[-1].cursor == "e:10"


async def test_the_views_that_something_is_due_for_have_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(throttle_module, "STEP_SECONDS", 0.0)
    monkeypatch.setattr(turns_module, "ROUND_SECONDS", 0.0)
    scene = Scene(Turns())
    senders = [scene.subscribe(max_rate=20)[1] for _ in range(5)]
    scene.put("a")
    scene.put("a")
    seen = set[int]()
    async with asyncio.timeout(5):
        while scene.releases.waiting:
            seen.add(sum(len(sender.told) == 2 for sender in senders))
            await asyncio.sleep(0)
    assert seen >= {0, 1, 2, 3, 4} and all(len(sender.told) == 2 for sender in senders)


async def test_a_key_that_moved_far_is_due_sooner_than_it_was(scene: Scene) -> None:
    throttle = Throttle(1.0, distance=100.0)
    changes = iter(range(1, 10))

    def moved(lon: float) -> list[Delivery]:
        item = parse_item("a", b'%013d{"geometry":{"type":"Point","coordinates":[%f,0]},"type":"Feature"}' % (1, lon))
        return [Delivery("updated", "a", item, "e", next(changes))]

    assert len(throttle.passing(moved(0), 0.0)) == 1
    assert throttle.passing(moved(0), 0.1) == [] and throttle.due_at == STILL_SECONDS
    assert throttle.passing(moved(1), 0.2) == [] and throttle.due_at == 1.0
    assert throttle.due(0.9, 3) == []
    (released,) = throttle.due(1.0, 3)
    assert released.seq == 3 and not throttle.holds and throttle.due_at == float("inf")
