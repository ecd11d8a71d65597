"""Callbacks: sent from the outbox, tried again, given up; and never to where they may not be."""

from __future__ import annotations

import asyncio
import hmac
import time
from collections.abc import AsyncIterator
from datetime import timedelta
from hashlib import sha256
from typing import Any

import pytest
from django.utils import timezone

from processes.jobs.outcomes import OutputPart
from processes.jobs.service import Jobs
from processes.models import Callback, Job
from streaming.engine.outgoing import outbox, sender
from streaming.engine.outgoing.outbox import Outbox, backoff
from streaming.engine.runtime import Runtime
from tests.ogc_processes.descriptions.examples import ECHO
from tests.ogc_processes.played_worker import Failure, Inputs, PlayedWorker, Work
from tests.ogc_processes.schemas import check
from tests.receiver import Receiver, receiving, response

from .conftest import SITE, Api, offer
from .test_execution import never
from .test_jobs import begun, ended


@pytest.fixture
async def receiver(settings: Any, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Receiver]:
    """A server that may be called back, and is called again soon."""
    settings.GEOSTREAM_PROCESS_PRIVATE_ADDRESSES = "127.0.0.1"
    monkeypatch.setattr(outbox, "FIRST_SECONDS", 0.01)
    async with receiving({f"/{kind}": response(204) for kind in ("success", "progress", "failed")}) as server:
        yield server


def request(receiver: Receiver, **inputs: Any) -> dict[str, Any]:
    addresses = {"successUri": "/success", "inProgressUri": "/progress", "failedUri": "/failed"}
    subscriber = {name: receiver.url(target) for name, target in addresses.items()}
    return {"inputs": {"text": "teststring", **inputs}, "subscriber": subscriber}


async def settled(count: int) -> list[Callback]:
    """The callbacks, when so many are not waiting any more."""
    async with asyncio.timeout(20):
        while await Callback.objects.exclude(state="waiting").acount() < count:
            await asyncio.sleep(0.02)
    return [each async for each in Callback.objects.order_by("pk")]


def sent_to(receiver: Receiver, target: str) -> list[Any]:
    return [each.json for each in receiver.received if each.target == target]


async def test_the_results_are_sent(api: Api, echoing: PlayedWorker, receiver: Receiver) -> None:
    await api.run("echo", request(receiver, numbers=[1, 2]))
    await settled(1)
    async with asyncio.timeout(20):
        while not (found := sent_to(receiver, "/success")):
            await asyncio.sleep(0.02)
    assert found == [{"text": "teststring", "numbers": [1, 2]}]
    check("results", found[0])


async def test_progress_is_the_state_of_the_job_and_not_too_often(
    api: Api, worker: PlayedWorker, receiver: Receiver, settings: Any
) -> None:
    settings.GEOSTREAM_PROCESS_CALLBACK_PROGRESS_SECONDS = 0.3
    go_on = asyncio.Event()

    async def slow(inputs: Inputs, work: Work) -> list[OutputPart]:
        await receiver.wait_for(1)
        for percent in range(1, 51):
            await work.progress(percent)
        await go_on.wait()
        return [OutputPart("text", "done")]

    await offer(worker, slow, "echo", description=ECHO)
    job = (await api.run("echo", request(receiver)))["jobID"]
    began, count = time.monotonic(), 1
    while (found := sent_to(receiver, "/progress")) == [] or found[-1]["progress"] < 50:
        count = len(await receiver.wait_for(count)) + 1
    assert len(found) <= 2 + (time.monotonic() - began) / 0.3
    go_on.set()
    assert (found[0]["status"], found[0]["progress"]) == ("running", 0)
    check("statusInfo", found[-1])
    assert found[-1]["links"][0]["href"] == f"{SITE}/jobs/{job}"


async def test_a_failure_is_an_exception_with_its_job(api: Api, worker: PlayedWorker, receiver: Receiver) -> None:
    async def fail(inputs: Inputs, work: Work) -> Any:
        raise Failure(422, "cannot be done")

    await offer(worker, fail, "echo", description=ECHO)
    job = (await api.run("echo", request(receiver)))["jobID"]
    await ended(api, job)
    async with asyncio.timeout(20):
        while not (found := sent_to(receiver, "/failed")):
            await asyncio.sleep(0.02)
    assert (found[0]["status"], found[0]["detail"], found[0]["jobID"]) == (422, "cannot be done", job)
    check("exception", found[0])


async def test_dismissing_is_a_failure(api: Api, worker: PlayedWorker, receiver: Receiver) -> None:
    await offer(worker, never, "echo", description=ECHO)
    job = (await begun(api, (await api.run("echo", request(receiver)))["jobID"]))["jobID"]
    await api.delete(f"/jobs/{job}")
    async with asyncio.timeout(20):
        while not (found := sent_to(receiver, "/failed")):
            await asyncio.sleep(0.02)
    assert (found[0]["status"], found[0]["title"], found[0]["jobID"]) == (410, "Dismissed", job)


async def test_what_is_not_received_is_tried_again_with_the_same_key(api: Api, echoing: PlayedWorker, receiver: Receiver) -> None:
    receiver.answers["/success"] = [response(500), response(302, location="/failed"), b"what?\r\n\r\n", response(200)]
    await api.run("echo", {"inputs": {"text": "a"}, "subscriber": {"successUri": receiver.url("/success")}})
    (callback,) = await settled(1)
    assert (callback.state, callback.attempts, callback.last_error) == ("sent", 4, "")
    assert [each.target for each in receiver.received] == ["/success"] * 4
    assert len({each.headers["idempotency-key"] for each in receiver.received}) == 1


async def test_a_callback_is_given_up_in_the_end(api: Api, echoing: PlayedWorker, receiver: Receiver, settings: Any) -> None:
    settings.GEOSTREAM_PROCESS_CALLBACK_ATTEMPTS = 3
    receiver.answers["/success"] = response(503)
    job = (await api.run("echo", {"inputs": {"text": "a"}, "subscriber": {"successUri": receiver.url("/success")}}))["jobID"]
    (callback,) = await settled(1)
    assert (callback.state, callback.attempts, callback.last_error) == ("given_up", 3, "the server there answers 503")
    assert (await api.json(f"/jobs/{job}"))["status"] == "successful"


async def test_a_callback_that_is_not_wanted_is_given_up_at_once(api: Api, echoing: PlayedWorker, receiver: Receiver) -> None:
    receiver.answers["/success"] = response(410)
    await api.run("echo", {"inputs": {"text": "a"}, "subscriber": {"successUri": receiver.url("/success")}})
    (callback,) = await settled(1)
    assert (callback.state, callback.attempts, len(receiver.received)) == ("given_up", 1, 1)


async def test_a_callback_to_where_it_may_not_be_is_given_up_at_once(
    api: Api, echoing: PlayedWorker, receiver: Receiver, settings: Any
) -> None:
    """What was allowed when the job was submitted need not be any more."""
    settings.GEOSTREAM_PROCESS_PRIVATE_ADDRESSES = "127.0.0.0/8"
    url = receiver.url("/success").replace("127.0.0.1", "127.0.0.2")
    worker_may_go_on = asyncio.Event()

    async def slow(inputs: Inputs, work: Work) -> list[OutputPart]:
        await worker_may_go_on.wait()
        return [OutputPart("text", "done")]

    echoing.functions = dict.fromkeys(echoing.functions, slow)
    await api.run("echo", {"inputs": {"text": "a"}, "subscriber": {"successUri": url}})
    settings.GEOSTREAM_PROCESS_PRIVATE_ADDRESSES = "127.0.0.1"
    worker_may_go_on.set()
    (callback,) = await settled(1)
    assert (callback.state, callback.attempts, callback.last_error) == ("given_up", 1, "127.0.0.2 is not a public address")


async def test_callbacks_are_signed(api: Api, echoing: PlayedWorker, receiver: Receiver, settings: Any) -> None:
    settings.GEOSTREAM_PROCESS_CALLBACK_SECRET = "secret"
    await api.run("echo", {"inputs": {"text": "a"}, "subscriber": {"successUri": receiver.url("/success")}})
    (received,) = await receiver.wait_for(1)
    at, _, digest = received.headers["x-geostream-signature"].removeprefix("t=").partition(",v1=")
    assert digest == hmac.new(b"secret", at.encode() + b"." + received.body, sha256).hexdigest()
    assert received.headers["x-geostream-event"] == "success"


async def test_what_a_process_that_died_was_sending_is_sent_by_another(
    monkeypatch: pytest.MonkeyPatch, api: Api, echoing: PlayedWorker, receiver: Receiver, runtime: Runtime
) -> None:
    """It was taken, and its turn is over."""
    monkeypatch.setattr(sender, "LOOK_SECONDS", 0.1)
    job = (await api.run("echo", {"inputs": {"text": "a"}, "subscriber": {"successUri": receiver.url("/success")}}))["jobID"]
    await settled(1)  # so it has looked once more, and looks again soon

    def left() -> None:
        Callback.objects.create(
            job_id=job, kind="success", url=receiver.url("/success"), next_at=timezone.now() - timedelta(seconds=1), attempts=1
        )

    await runtime.service(Jobs).read(left)
    callbacks = await settled(2)
    assert (callbacks[-1].state, callbacks[-1].attempts) == ("sent", 2)


@pytest.mark.django_db
def test_a_callback_is_taken_once() -> None:
    from tests.ogc_processes.rows import make_process, submitted

    (job,) = submitted(make_process())
    Callback.objects.create(job=job, kind="success", url="http://example.org/", next_at=timezone.now())
    assert [len(Outbox(Callback).take_due(10, 60)), len(Outbox(Callback).take_due(10, 60))] == [1, 0]


def test_attempts_are_further_and_further_apart() -> None:
    waits = [backoff(attempt) for attempt in range(1, 13)]
    assert all(0.5 * min(2.0**n, 3600) <= wait <= 1.5 * min(2.0**n, 3600) for n, wait in enumerate(waits, 1))


async def test_the_address_of_results_by_reference_is_as_the_client_saw_it(api: Api, echoing: PlayedWorker, receiver: Receiver) -> None:
    body = {
        "inputs": {"text": "a"},
        "outputs": {"text": {"transmissionMode": "reference"}},
        "subscriber": {"successUri": receiver.url("/success")},
    }
    await api.run("echo", body)
    (received,) = await receiver.wait_for(1)
    assert received.json["text"]["href"] == f"{SITE}/jobs/{(await Job.objects.aget()).id}/results/text"
