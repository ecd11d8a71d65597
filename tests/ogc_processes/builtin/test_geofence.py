"""`geofence`: every entering, leaving and staying is one event, whatever happens to the worker."""

from __future__ import annotations

import asyncio
import json
import random
from collections import defaultdict
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
from channels.db import database_sync_to_async

from processes.builtin import stay_store
from processes.builtin.geofence import geofence
from processes.builtin.stay_store import StayStore
from processes.worker import BadInput, Job, JobFailed
from streaming.core.redis import sync_redis
from streaming.features.publishing import adelete, apublish, delete, publish
from streaming.models import Layer
from tests.geo_peer import point
from tests.profiles import examples

from .running import JOB, Running, events, held, payloads, running, until

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("closing_redis")]
INPUTS = {"layer": "l", "areas": "areas", "publish_to": "inside", "update_seconds": 0.05}


@pytest.fixture(autouse=True)
def open_names(settings: Any) -> Iterator[None]:
    settings.GEOSTREAM_PROCESS_OPEN_NAMES = "inside"
    yield


def area(id: Any, west: float, east: float, **properties: Any) -> dict[str, Any]:
    ring = [[west, -1], [east, -1], [east, 1], [west, 1], [west, -1]]
    return {"type": "Feature", "id": id, "geometry": {"type": "Polygon", "coordinates": [ring]}, "properties": properties}


def crossings() -> list[tuple[str, Any, Any]]:
    return [(each["event"].removeprefix("geofence_"), each["feature"], each["area"]) for each in payloads()]


def pairs() -> set[tuple[Any, Any]]:
    """What the layer says is where."""
    return {(each["properties"]["feature"], each["properties"]["area"]) for each in held("inside").values() if "area" in each["properties"]}


async def test_entering_and_leaving_are_events_and_a_layer() -> None:
    await apublish("areas", [area("a", 0, 10, name="Port"), area("b", 5, 15)])
    await apublish("l", [point(1, -5, 0), point(2, 1, 0)])
    async with running(geofence, **INPUTS) as job:
        await until(lambda: crossings() == [("enter", 2, "a")] and pairs() == {(2, "a")}, job)
        await apublish("l", point(1, 7, 0))
        await until(lambda: len(crossings()) == 3 and pairs() == {(2, "a"), (1, "a"), (1, "b")}, job)
        await apublish("l", point(1, 12, 0))
        await until(lambda: crossings()[3:] == [("exit", 1, "a")] and pairs() == {(2, "a"), (1, "b")}, job)
        await adelete("l", 1)
        await until(lambda: crossings()[4:] == [("exit", 1, "b")] and pairs() == {(2, "a")}, job)
    first = payloads()[0]
    assert (first["area_name"], first["layer"], first["areas"], first["source"]) == ("Port", "l", "areas", "layer:l")
    assert first["message"] == "2 has entered Port" and first["geometry"]["coordinates"] == [1, 0] and first["job"] == JOB
    (feature,) = held("inside").values()
    assert feature["geometry"]["coordinates"] == [1, 0] and feature["properties"]["since"] == first["since"]


async def test_what_moves_within_an_area_is_drawn_where_it_is_and_is_no_event() -> None:
    await apublish("areas", area("a", 0, 10))
    await apublish("l", point(1, 1, 0))
    async with running(geofence, **INPUTS) as job:
        await until(lambda: len(held("inside")) == 1, job)
        await apublish("l", point(1, 2, 0))
        await until(lambda: next(iter(held("inside").values()))["geometry"]["coordinates"] == [2, 0], job)
    assert len(payloads()) == 1


async def test_areas_come_change_and_go() -> None:
    await apublish("l", point(1, 7, 0))
    async with running(geofence, **INPUTS | {"areas": "l"}, id=JOB) as same:
        await until(lambda: crossings() == [("enter", 1, 1)], same)
        await same.dismiss()
    await apublish("areas", area("a", 0, 5))
    async with running(geofence, "2b4e28ba-2fa1-41d2-883f-0016d3cca427", **INPUTS) as job:
        await apublish("areas", area("b", 6, 8))
        await until(lambda: crossings()[1:] == [("enter", 1, "b")], job)
        await apublish("areas", area("a", 0, 10))
        await until(lambda: crossings()[2:] == [("enter", 1, "a")], job)
        await adelete("areas", "b")
        await until(lambda: crossings()[3:] == [("exit", 1, "b")] and pairs() == {(1, "a")}, job)


async def test_staying_for_long_is_one_event() -> None:
    await apublish("areas", area("a", 0, 10))
    await apublish("l", [point(1, 1, 0), point(2, 1, 0)])
    async with running(geofence, **INPUTS, dwell_seconds=0.5) as job:
        await until(lambda: len(crossings()) == 2, job)
        await apublish("l", point(2, -5, 0))
        await until(lambda: ("dwell", 1, "a") in crossings(), job)
        await job.kill()
    async with running(geofence, **INPUTS, dwell_seconds=0.5) as job:
        await apublish("l", point(1, -5, 0))
        await until(lambda: ("exit", 1, "a") in crossings(), job)
    assert sorted(crossings()) == [("dwell", 1, "a"), ("enter", 1, "a"), ("enter", 2, "a"), ("exit", 1, "a"), ("exit", 2, "a")]
    dwell = next(each for each in payloads() if each["event"] == "geofence_dwell")
    assert dwell["seconds"] == 0.5


async def test_a_filter_and_a_box() -> None:
    await apublish("areas", area("a", 0, 10))
    await apublish("l", [point(1, 1, 0, kind="ship"), point(2, 1, 0, kind="car"), point(3, 9, 0, kind="ship")])
    async with running(geofence, **INPUTS, filter="kind = 'ship'", bbox=None) as job:
        await until(lambda: len(crossings()) == 2, job)
        await apublish("l", point(1, 1, 0, kind="car"))
        await until(lambda: crossings()[-1] == ("exit", 1, "a"), job)
    assert {each[1] for each in crossings()} == {1, 3}


async def test_when_it_is_dismissed_nothing_is_left() -> None:
    await apublish("areas", area("a", 0, 10))
    await apublish("l", point(1, 1, 0))
    async with running(geofence, **INPUTS) as job:
        await until(lambda: len(held("inside")) == 1, job)
        await job.dismiss()
    assert await database_sync_to_async(held)("inside") == {}
    assert await database_sync_to_async(lambda: sync_redis().keys("*geofence:*state*"))() == []


async def test_events_are_for_those_who_may_read_both_layers() -> None:
    await Layer.objects.acreate(name="areas", public=False, permission="fleet.view_areas")
    await Layer.objects.acreate(name="l", public=False)
    from django.contrib.auth.models import User

    admin = await database_sync_to_async(User.objects.create_superuser)("admin")
    await apublish("areas", area("a", 0, 10))
    await apublish("l", point(1, 1, 0))
    job = Running(geofence, Job(JOB, user=str(admin.pk)), INPUTS)
    await until(lambda: len(events()) == 1, job)
    await job.kill()
    (event,) = await database_sync_to_async(events)()
    assert sorted(event["audience"]["needs"]) == ["fleet.view_areas", "streaming.view_layer"]


async def test_a_layer_cannot_be_its_own_result() -> None:
    await apublish("areas", area("a", 0, 10))
    await apublish("l", point(1, 1, 0))
    for name in ("l", "areas"):
        with pytest.raises(BadInput, match="another layer"):
            await geofence(**{**INPUTS, "publish_to": name}, job=Job(JOB))


# -- killed workers ---------------------------------------------------------

AREAS = {"a": (0, 10), "b": (5, 15), "c": (-20, 1)}


class History:
    """Moves features about, and notes what is to be noticed."""

    def __init__(self, seed: int) -> None:
        self._numbers = random.Random(seed)
        self._inside: dict[int, set[str]] = defaultdict(set)
        self.expected: dict[int, list[tuple[str, str]]] = defaultdict(list)

    def move(self, count: int) -> None:
        for _ in range(count):
            key = self._numbers.randrange(4)
            x = self._numbers.choice([None, -30, -10, 0.5, 3, 7, 12, 20])
            if x is None:
                delete("l", key)
            else:
                publish("l", point(key, x, 0))
            now = {name for name, (west, east) in AREAS.items() if x is not None and west <= x <= east}
            self.expected[key] += [("exit", name) for name in sorted(self._inside[key] - now)]
            self.expected[key] += [("enter", name) for name in sorted(now - self._inside[key])]
            self._inside[key] = now

    def pairs(self) -> set[tuple[int, str]]:
        return {(99, "start")} | {(key, name) for key, names in self._inside.items() for name in names}


def noticed() -> dict[int, list[tuple[str, str]]]:
    found: dict[int, list[tuple[str, str]]] = defaultdict(list)
    for kind, feature, name in crossings():
        found[feature].append((kind, name))
    return found


@pytest.mark.long_form
@pytest.mark.parametrize("seed", range(examples(2, long=8)))
async def test_nothing_is_missed_and_nothing_comes_twice_whenever_the_worker_is_killed(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is killed at any of its steps: before, between and after storing, publishing and removing."""
    numbers = random.Random(seed)
    if seed % 2:  # a step for almost every version
        monkeypatch.setattr("processes.builtin.geofence.MOST_CROSSINGS", 4)
    steps = [StayStore._publish_one, StayStore._remove, stay_store.Feed.put]
    fatal = {"in": -1}

    def deadly(step: Any) -> Any:
        async def killed_at_some_time(*args: Any, **more: Any) -> Any:
            ours = not isinstance(args[0], stay_store.Feed) or args[0].name.startswith("geofence:")
            fatal["in"] -= ours
            if ours and fatal["in"] == 0 and numbers.random() < 0.5:
                raise KeyboardInterrupt
            result = await step(*args, **more)
            if ours and fatal["in"] == 0:
                raise KeyboardInterrupt
            return result

        return killed_at_some_time

    for step, (owner, name) in zip(steps, [(StayStore, "_publish_one"), (StayStore, "_remove"), (stay_store.Feed, "put")], strict=True):
        monkeypatch.setattr(owner, name, deadly(step))
    await apublish("areas", [area("start", 55, 65), *(area(name, *edges) for name, edges in AREAS.items())])
    await apublish("l", point(99, 60, 0))
    history = History(seed)

    def told() -> bool:
        return noticed() == {key: each for key, each in history.expected.items() if each}

    def placed() -> bool:
        """Whether it has finished its first look: it cannot know what comes and goes before."""
        stored = stay_store.Feed(f"geofence:{JOB}").get_sync("place")
        return stored is not None and json.loads(stored)["cursor"] is not None

    history.expected[99] = [("enter", "start")]  # seen when the job has begun: it cannot know what was before
    for _ in range(6):
        fatal["in"] = numbers.randrange(1, 30)  # while it catches up, …
        job = Running(killable, Job(JOB), INPUTS)
        with suppress(Killed):
            await until(told, job)
        fatal["in"] = -1
        with suppress(Killed):
            await job.kill()
        job = Running(killable, Job(JOB), INPUTS)
        await until(lambda: told() and placed(), job)
        await database_sync_to_async(history.move)(numbers.randrange(10))  # … while it runs …
        fatal["in"] = numbers.randrange(1, 40)
        await database_sync_to_async(history.move)(numbers.randrange(1, 30))
        with suppress(Killed, TimeoutError):
            await until(told, job, seconds=2)
        fatal["in"] = -1
        with suppress(Killed):
            await job.kill()
        await database_sync_to_async(history.move)(numbers.randrange(30))  # … and while it does not
    job = Running(killable, Job(JOB), INPUTS)
    await until(lambda: told() and pairs() == history.pairs(), job)
    await job.kill()


class Killed(Exception):
    """Where pytest would stop for a KeyboardInterrupt."""


async def killable(**inputs: Any) -> Any:
    try:
        return await geofence(**inputs)
    except KeyboardInterrupt:
        raise Killed from None


async def test_a_feature_that_crosses_more_areas_than_one_step_has_room_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("processes.builtin.geofence.MOST_CROSSINGS", 3)
    await apublish("areas", [area(number, 0, 10) for number in range(10)])
    await apublish("l", point(1, 20, 0))
    async with running(geofence, **INPUTS) as job:
        for x, count in ((5, 10), (20, 20)):
            await apublish("l", point(1, x, 0))
            await until(lambda count=count: len(crossings()) == count, job)
        await until(lambda: not pairs(), job)
    assert len(set(crossings())) == 20


async def test_a_worker_whose_job_another_has_taken_over_reports_nothing_more() -> None:
    await apublish("areas", area("a", 0, 10))
    await apublish("l", point(1, 1, 0))
    first = Running(geofence, Job(JOB, attempt=1), INPUTS)
    await until(lambda: len(crossings()) == 1, first)
    second = Running(geofence, Job(JOB, attempt=2), INPUTS)
    await apublish("l", point(1, -5, 0))
    with pytest.raises(JobFailed, match="another worker"):
        await asyncio.wait_for(first.task, 10)
    await until(lambda: len(crossings()) == 2, second)
    await apublish("l", point(1, 1, 0))
    await until(lambda: len(crossings()) == 3 and len(held("inside")) == 1, second)
    await second.kill()


async def test_a_log_that_does_not_reach_back_any_more_costs_only_what_was_undone_meanwhile() -> None:
    await apublish("areas", area("a", 0, 10))
    await apublish("l", [point(1, 1, 0), point(2, -5, 0), point(3, 1, 0)])
    async with running(geofence, **INPUTS) as job:
        await until(lambda: len(crossings()) == 2, job)
    await apublish("l", [point(1, -5, 0), point(2, 1, 0), point(3, 20, 0)])
    await apublish("l", [point(3, 2, 0)])
    await database_sync_to_async(lambda: sync_redis().delete("geostream:{layer:l}:log"))()
    async with running(geofence, **INPUTS) as job:
        await until(lambda: pairs() == {(2, "a"), (3, "a")}, job)
    assert sorted(crossings()[2:]) == [("enter", 2, "a"), ("exit", 1, "a")]
