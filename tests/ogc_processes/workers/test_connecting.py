"""How a worker's connection begins and ends."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from typing import Any

import pytest
from channels.db import database_sync_to_async
from django.utils import timezone

from processes.models import Registration, Worker, WorkerToken
from processes.workers.tokens import PREFIX, create_token, digest, find_token, revoke_token
from tests.dialects.asgi_peer import AsgiPeer

from .conftest import Site
from .peer import Refused, WorkerPeer


async def test_hello_names_the_limits(site: Site) -> None:
    worker = await site.worker()
    told = worker.welcome
    assert (told["heartbeatSeconds"], told["leaseSeconds"], told["ackSeconds"]) == (15, 60, 10)
    assert told["limits"] == {"frameBytes": 1 << 20, "inlineBytes": 256 << 10, "blobBytes": 1 << 30}
    assert told["blobURL"] == "http://maps.example.org/ogc/worker/blobs"
    assert (told["resumed"], told["abandoned"], told["concurrency"]) == ([], [], 4)
    row = await Worker.objects.aget()
    assert (row.name, row.concurrency, row.node) == ("w", 4, site.runtime.hub.node)
    assert (await WorkerToken.objects.aget(pk=row.token_id)).last_used == row.connected_at


async def test_the_row_of_a_worker_says_when_it_has_left(site: Site) -> None:
    worker = await site.worker("w", "greet")
    assert await Registration.objects.acount() == 1
    await worker.close()
    for _ in range(100):
        if not await Registration.objects.aexists():
            break
        await asyncio.sleep(0.02)
    assert (await Worker.objects.aget()).node == "" and not await Registration.objects.aexists()


@pytest.mark.parametrize("token", ["", "nonsense", PREFIX + "nonsense"])
async def test_a_bad_token_is_refused_before_the_upgrade(site: Site, token: str) -> None:
    assert await WorkerPeer(token).socket.denied() == 403


async def test_a_revoked_or_expired_token_is_a_bad_one(site: Site) -> None:
    @database_sync_to_async
    def tokens() -> list[str]:
        row, revoked = create_token("revoked")
        revoke_token(row)
        return [revoked, create_token("expired", expires=timezone.now())[1]]

    for token in await tokens():
        assert await WorkerPeer(token).socket.denied() == 403


@pytest.mark.django_db
def test_only_the_digest_of_a_token_is_stored() -> None:
    row, text = create_token("machine", ["buffer", "demo-*"])
    stored = WorkerToken.objects.values().get()
    assert text not in str(stored) and stored["digest"] == digest(text)
    found = find_token(text)
    assert found is not None and found.pk == row.pk
    assert [found.allows(each) for each in ("buffer", "demo-1", "buffers", "demo")] == [True, True, False, False]


async def test_another_subprotocol_or_a_page_of_another_site_is_refused(site: Site) -> None:
    token = f"Bearer {await site.token()}".encode()
    assert await AsgiPeer("/ws/processes", headers=[(b"authorization", token)]).denied() == 400
    headers = [(b"authorization", token), (b"origin", b"https://elsewhere.example"), (b"host", b"maps.example.org")]
    assert await AsgiPeer("/ws/processes", headers=headers, subprotocols=["ogc-worker.v1+json"]).denied() == 403


async def test_who_does_not_say_hello_is_closed(site: Site, settings: Any) -> None:
    settings.GEOSTREAM_PROCESS_HELLO_SECONDS = 0.1
    assert await (await site.silent()).closed() == 4408


async def test_hello_comes_first(site: Site) -> None:
    worker = await site.silent()
    with pytest.raises(Refused) as refused:
        await worker.call("worker.heartbeat", {"jobs": []})
    assert refused.value.code == -32002


async def test_another_version_of_the_protocol_is_refused(site: Site) -> None:
    worker = await site.silent()
    await worker.send({"jsonrpc": "2.0", "id": 1, "method": "worker.hello", "params": {"protocol": "2.0", "workerID": "w"}})
    assert await worker.closed() == 4400


async def test_a_newer_connection_of_the_same_worker_takes_the_place_of_the_older(site: Site) -> None:
    older = await site.worker("w", "greet")
    newer = await site.worker("w", "greet")
    assert await older.closed() == 4409
    await site.submit()
    assert (await newer.job())["processID"] == "greet"
    assert await Worker.objects.acount() == 1 and await Registration.objects.acount() == 1


async def test_revoking_a_token_closes_its_workers(site: Site) -> None:
    worker, other = await site.worker("w"), await site.worker("o", token="others")
    row = await WorkerToken.objects.aget(name="tests")
    await database_sync_to_async(revoke_token)(row)
    assert await worker.closed() == 4403
    assert await other.call("worker.heartbeat", {"jobs": []})


async def test_an_expired_token_closes_its_workers_at_the_next_review(site: Site) -> None:
    from processes.workers.service import Workers

    worker = await site.worker("w")
    await WorkerToken.objects.aupdate(expires=timezone.now() - timedelta(seconds=1))
    await site.runtime.service(Workers).review()
    assert await worker.closed() == 4403


async def test_a_token_bounds_its_workers_and_what_they_do_at_once(site: Site) -> None:
    await site.token(max_workers=2, max_concurrency=6)
    first, second = await site.worker("1"), await site.worker("2")
    assert (first.welcome["concurrency"], second.welcome["concurrency"]) == (4, 2)
    with pytest.raises(Refused, match="2 workers are connected") as refused:
        await site.worker("3")
    assert refused.value.code == -32001


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        ("{", -32700),
        ("[]", -32600),
        ('{"jsonrpc": "1.0", "id": 1, "method": "worker.hello"}', -32600),
        ('{"jsonrpc": "2.0", "id": 1}', -32600),
        ('{"jsonrpc": "2.0", "id": {}, "method": "x"}', -32600),
        ('{"jsonrpc": "2.0", "id": 1, "method": "no.such"}', -32601),
        ('{"jsonrpc": "2.0", "id": 1, "method": "process.unregister", "params": {}}', -32602),
        ('{"jsonrpc": "2.0", "id": 1, "method": "process.unregister", "params": []}', -32602),
        ('{"jsonrpc": "2.0", "id": 1, "method": "worker.hello", "params": {"protocol": "1.0", "workerID": "w"}}', -32600),
    ],
)
async def test_a_frame_that_is_wrong_is_answered_with_a_code(site: Site, frame: str, code: int) -> None:
    worker = await site.worker()
    await worker.send(frame)
    assert (await worker.receive())["error"]["code"] == code
    await worker.call("worker.heartbeat", {"jobs": []})


async def test_unknown_notifications_and_members_are_ignored(site: Site) -> None:
    worker = await site.worker()
    await worker.notify("worker.sings", {"song": 1})
    assert await worker.call("worker.heartbeat", {"jobs": [], "mood": "good"})


async def test_too_many_bad_frames_close_the_connection(site: Site) -> None:
    worker = await site.worker()
    for _ in range(20):
        await worker.send("{")
    assert await worker.closed() == 4400


async def test_binary_frames_and_frames_that_are_too_large_close_the_connection(site: Site, settings: Any) -> None:
    settings.GEOSTREAM_PROCESS_FRAME_BYTES = 2000
    worker = await site.worker("a")
    await worker.socket.send_bytes(b"{}")
    assert await worker.closed() == 4400
    worker = await site.worker("b")
    await worker.send(json.dumps({"jsonrpc": "2.0", "id": 1, "method": "x", "params": {"x": "y" * 2000}}))
    assert await worker.closed() == 4413


async def test_a_worker_that_says_too_much_is_refused_then_closed(site: Site, settings: Any) -> None:
    settings.GEOSTREAM_PROCESS_MESSAGES_PER_SECOND = 5.0
    worker, other = await site.worker("a"), await site.worker("o")
    call = {"jsonrpc": "2.0", "id": "n", "method": "no.such", "params": {}}
    codes = []
    for _ in range(15):
        await worker.send(call)
        codes.append((await worker.receive())["error"]["code"])
    assert codes[0] == -32601 and codes[-1] == -32041
    for _ in range(50):
        await worker.send(call)
    assert await worker.closed() == 4429
    assert await other.call("worker.heartbeat", {"jobs": []})


async def test_a_worker_without_heartbeats_is_closed(site: Site, settings: Any) -> None:
    settings.GEOSTREAM_PROCESS_LEASE_SECONDS = 1.0
    assert await (await site.worker()).closed() == 4530


async def test_workers_of_a_dead_server_process_are_swept(site: Site) -> None:
    from processes.workers.service import Workers

    worker = await site.worker("w", "greet")
    await worker.close()
    await asyncio.sleep(0)
    row = await Worker.objects.aget()
    from processes.models import Process

    process = await Process.objects.aget()
    await Worker.objects.aupdate(node="a-dead-one")
    await Registration.objects.aget_or_create(worker=row, process=process)
    await site.runtime.service(Workers).review()
    assert not await Registration.objects.aexists() and (await Worker.objects.aget()).node == ""


async def test_rows_that_another_process_swept_are_written_anew(site: Site) -> None:
    from processes.workers.service import Workers

    await site.worker("w", "greet")
    await Registration.objects.all().adelete()
    await Worker.objects.aupdate(node="")
    await site.runtime.service(Workers).review()
    assert await Registration.objects.acount() == 1 and (await Worker.objects.aget()).node
