"""Values that are too large for a message, over HTTP with the token of a worker."""

from __future__ import annotations

import uuid
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from processes.models import Blob, Job, JobOutput
from processes.workers.blobs import WorkerBlobs
from streaming.asgi import with_streams

from .conftest import Site
from .peer import Refused, lease_in

DATA = b"\x00\x01" * 300_000


async def django(scope: Any, receive: Any, send: Any) -> None:
    raise AssertionError("this is not Django's")


async def ask(method: str, blob: Any, token: str, body: bytes = b"", pieces: int = 1, **headers: str) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body of an answer."""
    size = max(1, -(-len(body) // pieces))
    waiting = [body[start : start + size] for start in range(0, len(body), size)] or [b""]
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": waiting.pop(0), "more_body": bool(waiting)}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    given = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    scope = {"type": "http", "method": method, "path": f"/ogc/worker/blobs/{blob}", "headers": given, "query_string": b""}
    scope["headers"] = [*given, (b"authorization", f"Bearer {token}".encode())]
    await with_streams(django)(scope, receive, send)
    answered = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return sent[0]["status"], answered, b"".join(each.get("body", b"") for each in sent[1:])


async def test_what_is_uploaded_is_downloaded(site: Site) -> None:
    token, blob = await site.token(), uuid.uuid4()
    status, _, answer = await ask("PUT", blob, token, DATA, 5, content_type="image/tiff", content_sha256=sha256(DATA).hexdigest())
    assert status == 201 and sha256(DATA).hexdigest().encode() in answer
    status, headers, body = await ask("GET", blob, token)
    assert (status, headers["content-type"], body) == (200, "image/tiff", DATA)
    status, headers, body = await ask("HEAD", blob, token)
    assert (headers["content-length"], body) == (str(len(DATA)), b"")
    assert (await ask("PUT", blob, token, DATA))[0] == 201, "the same again is the same"
    assert (await ask("PUT", blob, token, b"other"))[0] == 409


async def test_nobody_else_reads_or_writes(site: Site) -> None:
    token, other, blob = await site.token(), await site.token("other"), uuid.uuid4()
    await ask("PUT", blob, token, b"x")
    assert (await ask("GET", blob, other))[0] == 404
    assert (await ask("PUT", blob, other, b"x"))[0] == 409
    assert (await ask("GET", blob, "nonsense"))[0] == (await ask("PUT", uuid.uuid4(), "", b"x"))[0] == 401
    assert (await ask("DELETE", blob, token))[0] == 405


async def test_a_blob_has_a_largest_size_and_a_right_sum(site: Site, settings: Any) -> None:
    settings.GEOSTREAM_PROCESS_BLOB_BYTES = 1000
    token = await site.token()
    assert (await ask("PUT", uuid.uuid4(), token, b"x" * 1001, 3))[0] == 413
    assert (await ask("PUT", uuid.uuid4(), token, b"x", content_length="1001"))[0] == 413
    assert (await ask("PUT", uuid.uuid4(), token, b"x", content_sha256="0" * 64))[0] == 422
    assert not await Blob.objects.aexists()


async def test_a_token_has_so_much_that_is_unused(site: Site, settings: Any) -> None:
    settings.GEOSTREAM_PROCESS_UNUSED_BLOB_BYTES = 1000
    token = await site.token()
    assert (await ask("PUT", uuid.uuid4(), token, b"x" * 1000))[0] == 201
    assert (await ask("PUT", uuid.uuid4(), token, b"x"))[0] == 429


async def test_a_result_may_be_a_blob_of_the_same_token_only(site: Site) -> None:
    worker = await site.worker("w", "greet")
    submitted = await site.submit()
    job = await worker.job()
    mine, others = uuid.uuid4(), uuid.uuid4()
    await ask("PUT", mine, await site.token(), b'"hello"')
    await ask("PUT", others, await site.token("other"), b'"hello"')
    for blob in (others, uuid.uuid4()):
        with pytest.raises(Refused) as refused:
            await worker.call("job.result", {**lease_in(job), "outputs": {"greeting": {"blob": {"id": str(blob)}}}})
        assert refused.value.code == -32602
    assert await worker.call("job.result", {**lease_in(job), "outputs": {"greeting": {"blob": {"id": str(mine)}}}}) == {
        "status": "successful"
    }
    row = await JobOutput.objects.aget()
    assert row.blob_id == mine and str((await Blob.objects.aget(pk=mine)).job_id) == submitted


async def test_an_input_is_read_by_the_worker_that_was_given_the_job(site: Site) -> None:
    worker, other = await site.worker("w", "greet"), await site.token("other")
    submitted = await site.submit()
    await worker.job()
    blob = uuid.uuid4()
    await ask("PUT", blob, other, b"input")
    await Blob.objects.filter(pk=blob).aupdate(token=None, job=submitted)
    assert (await ask("GET", blob, await site.token()))[2] == b"input"
    assert (await ask("GET", blob, other))[0] == 404


async def test_what_no_job_uses_is_deleted_after_a_while_with_its_file(site: Site) -> None:
    token = await site.token()
    old, new = uuid.uuid4(), uuid.uuid4()
    for blob in (old, new):
        await ask("PUT", blob, token, b"x")
    path = Path((await Blob.objects.aget(pk=old)).file.path)
    assert path.exists()
    await Blob.objects.filter(pk=old).aupdate(created=timezone.now() - timedelta(hours=2))
    await site.runtime.service(WorkerBlobs).sweep()
    assert [blob.pk async for blob in Blob.objects.all()] == [new]
    assert not path.exists()


async def test_the_files_of_a_job_go_with_it(site: Site) -> None:
    worker = await site.worker("w", "greet")
    submitted = await site.submit()
    job = await worker.job()
    blob = uuid.uuid4()
    await ask("PUT", blob, await site.token(), b'"hello"')
    await worker.call("job.result", {**lease_in(job), "outputs": {"greeting": {"blob": {"id": str(blob)}}}})
    path = Path((await Blob.objects.aget(pk=blob)).file.path)
    await (await Job.objects.aget(pk=submitted)).adelete()
    assert not path.exists() and not await JobOutput.objects.aexists()
