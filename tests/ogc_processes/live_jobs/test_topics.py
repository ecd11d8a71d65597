"""The topics `job:<id>` and `processes`."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from channels.db import database_sync_to_async
from django.contrib.auth.models import User
from django.db import transaction

from processes.catalogue import ProcessCatalogue
from processes.jobs import outcomes
from processes.live.service import LiveJobs
from processes.models import Job, Registration
from streaming.engine.login_review import LoginReview
from streaming.engine.runtime import Runtime
from tests.dialects.phoenix.peer import PhoenixPeer
from tests.ogc_processes.rows import make_process, make_worker

from .conftest import ConnectPhoenix, Queue, make_user


async def pushed(peer: PhoenixPeer) -> tuple[str, Any]:
    _, _, _, event, payload = await peer.receive()
    return event, payload


async def test_the_reply_is_the_state_and_each_change_follows(queue: Queue, phoenix: ConnectPhoenix) -> None:
    job = await queue.submit()
    peer = await phoenix()
    info = await peer.join(f"job:{job}")
    assert (info["jobID"], info["status"], info["type"], info["processID"]) == (job, "accepted", "process", "greet")
    assert info["links"][0]["href"] == f"/ogc/jobs/{job}"
    lease = await queue.begin()
    await queue.progress(lease, 40, "half way")
    await queue.succeed(lease)
    changes = [await pushed(peer) for _ in range(3)]
    assert {event for event, _ in changes} == {"status"}
    assert [(each["status"], each["progress"]) for _, each in changes] == [("running", 0), ("running", 40), ("successful", 100)]
    assert changes[1][1]["message"] == "half way"
    await peer.receive_nothing()


async def test_only_who_may_see_a_job_learns_that_it_is_there(queue: Queue, phoenix: ConnectPhoenix) -> None:
    alice, bob, staff = await make_user("alice"), await make_user("bob"), await make_user("staff", is_staff=True)
    job, hidden = await queue.submit(alice), await queue.submit(alice, hidden=True)
    for who, topic in (
        (bob, job),
        (None, job),
        (alice, hidden),
        (staff, hidden),
        (alice, str(uuid.uuid4())),
        (alice, "x"),
        (alice, f"{job}:x"),
    ):
        status, response = await (await phoenix(who)).ask("1", "1", f"job:{topic}", "phx_join", {})
        assert (status, response) == ("error", {"reason": "unknown_job"}), topic
    for who in (alice, staff):
        assert (await (await phoenix(who)).join(f"job:{job}"))["jobID"] == job


async def test_nothing_is_missed_between_the_look_into_the_database_and_the_reply(
    queue: Queue, phoenix: ConnectPhoenix, runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = await queue.submit()
    find = LiveJobs.find

    async def find_late(self: LiveJobs, job: str) -> Any:
        found = await find(self, job)
        lease = await queue.begin()
        await queue.succeed(lease)
        return found

    monkeypatch.setattr(LiveJobs, "find", find_late)
    peer = await phoenix()
    assert (await peer.join(f"job:{job}"))["status"] == "successful"
    await peer.receive_nothing()


async def test_a_change_that_nobody_announced_is_found(queue: Queue, phoenix: ConnectPhoenix, runtime: Runtime) -> None:
    job = await queue.submit()
    peer = await phoenix()
    await peer.join(f"job:{job}")
    await database_sync_to_async(transaction.atomic(outcomes.dismiss))(uuid.UUID(job))
    await runtime.service(LiveJobs)._poll()
    assert (await pushed(peer))[1]["status"] == "dismissed"
    await runtime.service(LiveJobs)._poll()
    await peer.receive_nothing()


async def test_who_leaves_follows_no_more(queue: Queue, phoenix: ConnectPhoenix, runtime: Runtime) -> None:
    job = await queue.submit()
    peer = await phoenix()
    await peer.join(f"job:{job}")
    await peer.ask("1", "2", f"job:{job}", "phx_leave", {})
    assert runtime.service(LiveJobs)._followers == {}
    refused, _ = await peer.ask("3", "3", f"job:{uuid.uuid4()}", "phx_join", {})
    assert refused == "error" and runtime.service(LiveJobs)._followers == {}


async def test_who_is_not_of_the_staff_any_more_is_sent_away(queue: Queue, phoenix: ConnectPhoenix, runtime: Runtime) -> None:
    alice, staff = await make_user("alice"), await make_user("staff", is_staff=True)
    job = await queue.submit(alice)
    peer, hers = await phoenix(staff), await phoenix(alice)
    await peer.join(f"job:{job}")
    await hers.join(f"job:{job}")
    await runtime.service(LoginReview).review()
    await User.objects.filter(pk=staff.pk).aupdate(is_staff=False)
    await runtime.service(LoginReview).review()
    assert await pushed(peer) == ("phx_error", {"reason": "unauthorized"})
    await hers.receive_nothing()


async def test_processes_come_change_and_go(queue: Queue, phoenix: ConnectPhoenix, runtime: Runtime, settings: Any) -> None:
    settings.GEOSTREAM_PROCESS_OFFLINE_SECONDS = 0.0
    catalogue, live = runtime.service(ProcessCatalogue), runtime.service(LiveJobs)
    peer = await phoenix()
    (greet,) = (await peer.join("processes"))["processes"]
    assert greet["id"] == "greet" and greet["links"][0]["href"] == "/ogc/processes/greet"
    other = await database_sync_to_async(make_process)("other")
    worker = await database_sync_to_async(make_worker)("second", other)
    await catalogue.announce()
    await live._look()
    event, process = await pushed(peer)
    assert (event, process["id"]) == ("changed", "other")
    await Registration.objects.filter(worker=worker).adelete()
    await catalogue.announce()
    await live._look()
    assert await pushed(peer) == ("removed", {"id": "other"})
    assert await Job.objects.acount() == 0
