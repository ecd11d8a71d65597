"""Jobs as events: each change once, for those who may see the job."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from channels.db import database_sync_to_async

from processes.jobs import outcomes
from processes.jobs.outside import change_now
from processes.live.job_events import process_events
from processes.live.service import LiveJobs
from processes.models import Registration
from streaming.core.redis import sync_redis
from streaming.engine.runtime import Runtime
from streaming.features.events import event_feed
from tests.geo_peer import GeoPeer
from tests.server_events import server_events_on

from .conftest import Queue, authorization, make_user

Connect = Callable[..., GeoPeer]
TYPES = ["processing_status", "progress"]


@pytest.fixture(autouse=True)
def _on(settings: Any) -> Iterator[None]:
    with server_events_on(settings):
        process_events.flush()
        process_events._allowances.clear()
        yield
        process_events.flush()


@database_sync_to_async
def published() -> list[dict[str, Any]]:
    assert process_events.flush(10)
    lines: Any = sync_redis().xrange(event_feed().log_key)
    return [json.loads(fields[b"n"][13:]) for _, fields in lines]


async def story(job: str | None = None) -> list[tuple[Any, ...]]:
    """Type, and status or progress, of what was published."""
    events = [each for each in await published() if job is None or each["payload"].get("job") == job]
    return [(each["event_type"], each["payload"].get("status", each["payload"].get("current"))) for each in events]


async def test_a_job_is_told_from_its_submission_to_its_end(queue: Queue) -> None:
    job = await queue.submit()
    lease = await queue.begin()
    await queue.progress(lease, 40, "half way")
    await queue.succeed(lease)
    assert await story() == [
        ("processing_status", "accepted"),
        ("processing_status", "running"),
        ("progress", 40),
        ("processing_status", "successful"),
    ]
    progress = (await published())[2]["payload"]
    expected = {"current": 40, "total": 100, "progress_percent": 40.0, "message": "half way"}
    assert progress == {"source": f"job:{job}", "task_id": job, "job": job, "process": "greet", **expected}


async def test_subscribers_receive_the_jobs_that_they_may_see(queue: Queue, geo: Connect) -> None:
    alice, bob, staff = await make_user("alice"), await make_user("bob"), await make_user("staff", is_staff=True)
    boss = await make_user("boss", is_superuser=True)  # not of the staff
    peers = {who: geo(headers=authorization(who)) for who in (alice, bob, staff, boss, None)}
    for peer in peers.values():
        assert (await peer.ask(type="subscribe_events", subscription_id="e", event_types=TYPES))["success"]
    hers, everybodys = await queue.submit(alice), await queue.submit()
    await queue.submit(alice, hidden=True)
    seen = {}
    for who, peer in peers.items():
        count = 2 if who in (alice, staff) else 1
        seen[who] = [(await peer.next())["payload"]["job"] for _ in range(count)]
        assert await peer.nothing()
    assert seen == {alice: [hers, everybodys], staff: [hers, everybodys], bob: [everybodys], boss: [everybodys], None: [everybodys]}
    assert all("audience" not in each["payload"] for each in await published())


async def test_too_many_are_dropped_but_not_the_end_of_what_was_told(queue: Queue, settings: Any) -> None:
    settings.GEOSTREAM_PROCESS_EVENTS_PER_MINUTE = 2
    first, second = await queue.submit(), await queue.submit()
    third = await queue.submit()
    leases = [await queue.begin() for _ in range(3)]
    for lease in leases:
        await queue.succeed(lease)
    assert await story(first) == await story(second) == [("processing_status", "accepted"), ("processing_status", "successful")]
    assert await story(third) == []


async def test_a_change_of_the_admin_is_one_event(queue: Queue) -> None:
    job = await queue.submit()
    await database_sync_to_async(change_now)(lambda: outcomes.dismiss(uuid.UUID(job)))
    assert (await story(job))[-1] == ("processing_status", "dismissed") and len(await story(job)) == 2


async def test_nothing_is_published_where_the_servers_own_events_are_off(queue: Queue, settings: Any) -> None:
    settings.GEOSTREAM_SERVER_EVENTS = False
    await queue.submit()
    assert await published() == []


async def test_a_process_that_comes_and_goes_is_an_event(queue: Queue, runtime: Runtime, settings: Any) -> None:
    settings.GEOSTREAM_PROCESS_OFFLINE_SECONDS = 0.0
    live = runtime.service(LiveJobs)
    await live.offers()
    await database_sync_to_async(Registration.objects.all().delete)()
    await live._catalogue.announce()
    async with asyncio.timeout(10):
        while not (found := [each for each in await published() if each["event_type"] == "custom"]):
            await asyncio.sleep(0.02)
    (event,) = found
    assert event["payload"]["event"] == "process_removed" and event["payload"]["source"] == "process:greet"
