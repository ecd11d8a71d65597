"""Processes come and go with their workers."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from django.utils import timezone

from processes.catalogue import ProcessCatalogue
from processes.models import Process, WorkerToken

from .conftest import Site
from .peer import Refused


async def test_a_process_is_in_the_catalogue_at_once_and_leaves_with_its_worker(site: Site) -> None:
    catalogue = site.runtime.service(ProcessCatalogue)
    assert await catalogue.all() == []
    worker = await site.worker()
    answer = await worker.offer("greet", timeouts={"queueSeconds": 5, "runSeconds": 7}, retry={"mode": "safe"})
    assert (answer["processID"], answer["version"], answer["role"], answer["warnings"]) == ("greet", "1.0.0", "created", [])
    offer = await catalogue.get("greet")
    assert offer is not None and len(answer["hash"]) == 64
    assert (offer.online, offer.queue_seconds, offer.run_seconds, offer.retry, offer.continuous) == (1, 5, 7, "safe", False)
    assert offer.description.title == "Greet" and offer.offline_since is None
    assert await worker.call("process.unregister", {"processID": "greet", "version": "1.0.0"}) == {"remainingWorkers": 0}
    offer = await catalogue.get("greet")
    assert offer is not None and offer.online == 0 and offer.offline_since is not None


async def test_a_process_without_workers_is_listed_for_a_while_and_a_pinned_one_for_ever(site: Site, settings: object) -> None:
    catalogue = site.runtime.service(ProcessCatalogue)
    worker = await site.worker("w", "greet")
    await worker.call("process.unregister", {"processID": "greet", "version": "1.0.0"})
    await Process.objects.aupdate(last_online=timezone.now() - timedelta(hours=2))
    await catalogue.announce()
    assert await catalogue.get("greet") is None and await catalogue.all() == []
    await Process.objects.aupdate(pinned=True)
    await catalogue.announce()
    assert await catalogue.get("greet") is not None


async def test_who_asks_while_it_is_read_anew_is_given_what_is_read(site: Site) -> None:
    catalogue = site.runtime.service(ProcessCatalogue)
    assert await catalogue.all() == []
    await site.worker("w", "greet")
    for pinned in (True, False, True):
        await Process.objects.aupdate(pinned=pinned)
        catalogue._rung()
        reading = asyncio.create_task(catalogue._refresh(asked=False))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert (offer := await catalogue.get("greet")) is not None and offer.pinned == pinned
        await reading


async def test_observers_are_called_for_differences(site: Site) -> None:
    catalogue = site.runtime.service(ProcessCatalogue)
    calls = list[int]()
    catalogue.observe(lambda: calls.append(1))
    await site.worker("w", "greet")
    for _ in range(200):
        if calls:
            break
        await asyncio.sleep(0.01)
    assert calls
    await catalogue.all()
    before = len(calls)
    await catalogue.announce()
    await catalogue.all()
    assert len(calls) == before


async def test_workers_with_the_same_description_join(site: Site) -> None:
    first, second = await site.worker("1"), await site.worker("2")
    assert (await first.offer())["role"] == "created"
    assert (await second.offer())["role"] == "joined"
    offer = await site.runtime.service(ProcessCatalogue).get("greet")
    assert offer is not None and offer.online == 2


async def test_the_same_version_with_another_description_is_refused(site: Site) -> None:
    first, second = await site.worker("1", "greet"), await site.worker("2")
    with pytest.raises(Refused, match="give a changed process a new version") as refused:
        await second.offer(description={"title": "Other"})
    assert refused.value.code == -32022
    assert await first.call("worker.heartbeat", {"jobs": []})


async def test_an_id_belongs_to_the_token_that_had_it_first(site: Site) -> None:
    await site.worker("w", "greet")
    other = await site.worker("o", token="others")
    with pytest.raises(Refused, match="belongs to") as refused:
        await other.offer(version="9.0.0")
    assert refused.value.code == -32021
    await WorkerToken.objects.filter(name="tests").aupdate(revoked=timezone.now())
    assert (await other.offer())["role"] == "joined", "a revoked token owns nothing"


async def test_a_token_is_for_the_processes_it_names(site: Site) -> None:
    await site.token("demo", ("demo-*",))
    worker = await site.worker("w", "demo-1", token="demo")
    with pytest.raises(Refused) as refused:
        await worker.offer("greet")
    assert refused.value.code == -32001


async def test_a_description_that_is_wrong_is_refused_with_all_its_faults(site: Site) -> None:
    worker = await site.worker()
    with pytest.raises(Refused) as refused:
        await worker.offer(description={"inputs": {"a": {"schema": {"type": "nonsense"}}}, "title": {"en": "x"}})
    assert refused.value.code == -32020
    assert {each["pointer"].split("/")[1] for each in refused.value.data["errors"]} == {"inputs", "title"}


async def test_a_worker_may_offer_so_many(site: Site, settings: object) -> None:
    settings.GEOSTREAM_PROCESS_OFFERS_OF_WORKER = 1  # type: ignore[attr-defined]
    worker = await site.worker("w", "greet")
    with pytest.raises(Refused) as refused:
        await worker.offer("other")
    assert refused.value.code == -32041


async def test_a_new_version_is_listed_and_the_old_one_is_drained(site: Site) -> None:
    old = await site.worker("old", "greet", concurrency=1)
    waiting = [await site.submit() for _ in range(2)]
    busy = await old.job()
    new = await site.worker("new")
    assert (await new.offer(version="2.0.0"))["role"] == "replaced"
    later = await site.submit()
    assert (await new.job())["jobID"] == later
    await new.quiet()
    await old.call("job.result", {**{k: busy[k] for k in ("jobID", "attempt", "leaseID")}, "outputs": {"greeting": {"value": "hi"}}})
    following = await old.job()
    assert {busy["jobID"], following["jobID"]} == set(waiting) and following["version"] == "1.0.0"


async def test_an_old_worker_that_comes_back_does_not_take_the_place_of_the_new_version(site: Site) -> None:
    first, second = await site.worker("1", "greet"), await site.worker("2")
    await second.offer(version="2.0.0")
    await first.close()
    again = await site.worker("1")
    answer = await again.offer(version="1.0.0")
    assert answer["role"] == "joined" and "2.0.0" in answer["warnings"][0]
    offer = await site.runtime.service(ProcessCatalogue).get("greet")
    assert offer is not None and offer.version == "2.0.0"


async def test_an_old_version_is_listed_again_when_the_new_one_has_been_gone_for_long(site: Site) -> None:
    old, new = await site.worker("1", "greet"), await site.worker("2")
    await new.offer(version="2.0.0")
    await new.call("process.unregister", {"processID": "greet", "version": "2.0.0"})
    await old.offer(version="1.0.0")
    catalogue = site.runtime.service(ProcessCatalogue)
    assert (offer := await catalogue.get("greet")) is not None and offer.version == "2.0.0"
    await Process.objects.filter(version="2.0.0").aupdate(last_online=timezone.now() - timedelta(hours=2))
    assert (await old.offer(version="1.0.0"))["warnings"] == []
    assert (offer := await catalogue.get("greet")) is not None and offer.version == "1.0.0"
    assert (await new.offer(version="2.0.0"))["warnings"] == [], "the newest is listed as soon as it is back"
    assert (offer := await catalogue.get("greet")) is not None and offer.version == "2.0.0"
