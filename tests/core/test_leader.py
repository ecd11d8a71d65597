"""Leader election: one of all leads, until it resigns or its lease is over."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable

import pytest

from streaming.core import leader as leader_module
from streaming.core.bus import Arrival, Bus
from streaming.core.leader import Leader
from streaming.core.redis import close_async_redis, sync_redis

KEY = "geostream:test:leader"
Make = Callable[..., "Candidate"]


class Candidate:
    """One process."""

    def __init__(self, node: str, bus: Bus | None) -> None:
        self.able = True
        self.led: list[bool] = []
        self.followed = 0
        self.leader = Leader(KEY, node, "tests", able=lambda: self.able, on_lead=self.led.append, on_follow=self.follow, bus=bus)

    def follow(self, tried_at: float) -> None:
        self.followed += 1

    @property
    def leading(self) -> bool:
        return self.leader.leading


async def until(condition: Callable[[], object], seconds: float = 5) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.005)


@pytest.fixture
async def make(redis: None, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Make]:
    monkeypatch.setattr(leader_module, "RENEW_SECONDS", 0.02)
    made: list[Candidate] = []

    def make_one(node: str, bus: Bus | None = None) -> Candidate:
        made.append(Candidate(node, bus))
        return made[-1]

    yield make_one
    for candidate in made:
        await candidate.leader.stop()
    await close_async_redis()


@pytest.fixture
async def bus(redis: None) -> AsyncIterator[Bus]:
    bus = Bus()
    await bus.start()
    yield bus
    await bus.stop()


async def test_one_leads_and_the_others_follow(make: Make) -> None:
    one, two = make("one"), make("two")
    await one.leader.renew()
    await two.leader.renew()
    assert (one.leading, one.led, one.followed) == (True, [True], 0)
    assert (two.leading, two.led, two.followed) == (False, [], 1)


async def test_a_leader_renews_its_lease(make: Make) -> None:
    one = make("one")
    one.leader.start()
    await until(lambda: len(one.led) >= 3)
    assert one.led[:3] == [True, False, False] and sync_redis().get(KEY) == b"one"


async def test_the_next_one_leads_once_the_leader_resigned(make: Make) -> None:
    one, two = make("one"), make("two")
    await one.leader.renew()
    two.leader.start()
    await until(lambda: two.followed)
    await one.leader.resign()
    assert not one.leading
    await until(lambda: two.leading)


async def test_who_does_not_lead_resigns_for_nobody_else(make: Make) -> None:
    one, two = make("one"), make("two")
    await one.leader.renew()
    await two.leader.resign()
    assert sync_redis().get(KEY) == b"one"


async def test_a_process_that_is_not_able_leaves_it_to_others(make: Make) -> None:
    one = make("one")
    one.able = False
    await one.leader.renew()
    assert not one.leading and not sync_redis().exists(KEY)


async def test_a_leader_that_cannot_renew_leads_no_longer_than_its_lease(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leader_module, "LEASE_SECONDS", 0.5)
    one = make("one")
    await one.leader.renew()
    one.able = False
    assert one.leading
    await until(lambda: not one.leading)
    one.able = True
    await one.leader.renew()
    assert one.led == [True, True]


async def test_a_leader_that_lost_the_key_follows(make: Make) -> None:
    one = make("one")
    await one.leader.renew()
    sync_redis().set(KEY, "two")
    await one.leader.renew()
    assert not one.leading and one.followed == 1


async def test_a_leader_that_stopped_renews_no_more_and_leads_until_it_resigns(make: Make) -> None:
    one = make("one")
    one.leader.start()
    await until(lambda: one.leading)
    await one.leader.stop()
    renewals = len(one.led)
    await one.leader.renew()
    assert one.leading and len(one.led) == renewals
    await one.leader.resign()
    assert not one.leading and not sync_redis().exists(KEY)


async def test_it_tries_again_when_redis_did_not_answer_or_a_callback_failed(make: Make, caplog: pytest.LogCaptureFixture) -> None:
    one = make("one")
    sync_redis().config_set("maxmemory", 1)
    try:
        one.leader.start()
        await until(lambda: "no process tests for a moment" in caplog.text)
    finally:
        sync_redis().config_set("maxmemory", 0)
    await until(lambda: one.leading)
    failing = [True]

    def fails(began: bool) -> None:
        if failing:
            failing.pop()
            raise RuntimeError("of a programmer")
        one.led.append(began)

    one.led.clear()
    one.leader._on_lead = fails
    await until(lambda: one.led)
    assert [record.levelno for record in caplog.records].count(logging.ERROR) == 1


# -- with a bus ----------------------------------------------------------------


async def test_with_a_bus_it_leads_behind_what_was_published_before(make: Make, bus: Bus) -> None:
    heard: list[tuple[str, bool]] = []
    one = make("one", bus)

    def arrived(arrivals: list[Arrival]) -> None:
        heard.extend((arrival.payload.decode(), one.leading) for arrival in arrivals)

    await bus.subscribe("others", arrived)
    await bus.publish("others", b"before")
    await one.leader.renew()
    await bus.publish("others", b"behind")
    await until(lambda: len(heard) == 2)
    assert heard == [("before", False), ("behind", True)] and one.led == [True]


async def test_with_a_bus_the_next_one_leads_at_once(make: Make, bus: Bus, monkeypatch: pytest.MonkeyPatch) -> None:
    one, two = make("one", bus), make("two", bus)
    one.leader.start()
    await until(lambda: one.leading)
    monkeypatch.setattr(leader_module, "RENEW_SECONDS", 3600)
    two.leader.start()
    await until(lambda: two.followed)
    await one.leader.stop()
    await one.leader.resign()
    await until(lambda: two.leading)
    assert not one.leading


async def test_with_a_bus_an_announcement_of_another_leader_is_believed(make: Make, bus: Bus) -> None:
    one = make("one", bus)
    async with asyncio.timeout(5):
        while not one.leading:  # the bus may not listen yet at the first one
            await one.leader.renew()
            await asyncio.sleep(0.005)
    await bus.publish(KEY, b"two")
    await until(lambda: not one.leading)


async def test_an_announcement_that_comes_after_it_resigned_is_too_late(make: Make, bus: Bus) -> None:
    one = make("one", bus)
    await one.leader.renew()
    await one.leader.stop()
    await one.leader.resign()
    heard = len(one.led)
    one.leader._announced([Arrival(KEY.encode(), b"one")])
    assert not one.leading and len(one.led) == heard


async def test_whoever_steps_down_tries_again_at_once(make: Make, bus: Bus, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leader_module, "RENEW_SECONDS", 3600)
    one = make("one", bus)
    one.leader.start()
    await until(lambda: one.leading)
    one.leader.step_down()
    assert not one.leading
    await until(lambda: one.leading)
    assert one.led == [True, True]
