"""What clients and workers do that mean harm: each costs only themselves."""

from __future__ import annotations

import asyncio
import base64
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.files.storage import default_storage

from processes.http import blobs
from processes.http.negotiation import choose
from processes.http.preferences import read_preferences
from processes.jobs.outcomes import OutputPart
from processes.jobs.service import Jobs
from processes.models import Blob, Job
from streaming.engine.runtime import Runtime
from tests.databases import ON_POSTGRES
from tests.ogc_processes.descriptions.examples import ECHO
from tests.ogc_processes.played_worker import Failure, Inputs, PlayedWorker, Work

from .conftest import Api, describe, offer


def returning(*parts: OutputPart) -> Any:
    async def do(inputs: Inputs, work: Work) -> list[OutputPart]:
        return list(parts)

    return do


def described(**outputs: Any) -> dict[str, Any]:
    return {"inputs": {}, "outputs": {name: {"schema": {}, **each} for name, each in outputs.items()}}


# -- headers ---------------------------------------------------------------------


def test_a_header_of_preferences_takes_no_longer_than_its_length() -> None:
    began = time.process_time()
    read_preferences('"' + '\\"' * 30_000)
    assert time.process_time() - began < 1
    assert read_preferences("respond-async, " + "x" * 30_000).respond_async


def test_a_header_of_types_takes_no_longer_than_its_length() -> None:
    began = time.process_time()
    for _ in range(10):
        assert choose("text/html" + ",a/b;q=1" * 8_000, ["application/json", "text/html"]) == "text/html"
    assert time.process_time() - began < 0.3


@pytest.mark.parametrize(
    "value", ["9999-12-31T23:59:59-14:00", "0001-01-01T00:00:00+14:00", "0001-01-01T00:00:00-14:00/..", "0001-01-01", "9999-12-31"]
)
async def test_times_at_the_ends_of_the_calendar(api: Api, value: str) -> None:
    answer = await api.get("/jobs?datetime=" + value.replace("+", "%2B"))
    assert answer.status_code in (200, 400)


async def test_cursors_that_are_forged(api: Api, echoing: PlayedWorker) -> None:
    await api.run("echo", {"inputs": {"text": "x"}})
    for text in (">253402300799.9", ">-62135596800", "<253402300799.9", "<-62135596800", ">1e3"):
        cursor = base64.urlsafe_b64encode(f"{text} {'0' * 32}".encode()).decode().rstrip("=")
        assert (await api.get(f"/jobs?cursor={cursor}")).status_code in (200, 400)


# -- pages -----------------------------------------------------------------------


async def test_the_type_of_a_failure_is_no_script(api: Api, worker: PlayedWorker) -> None:
    async def do(inputs: Inputs, work: Work) -> list[OutputPart]:
        failure = Failure(500, "click above")
        failure.document["type"] = "javascript:alert(1)"
        raise failure

    await offer(worker, do, "evil", description=described(a={}))
    answer = await api.client.post("/ogc/processes/evil/execution", b"{}", content_type="application/json", headers={"accept": "text/html"})
    assert b"alert(1)" in answer.content or answer.status_code == 500
    assert b'href="javascript:' not in answer.content


# -- outputs ---------------------------------------------------------------------


REFERENCE = {"outputs": {"a": {"transmissionMode": "reference"}}}


@pytest.mark.parametrize("title", ['a "title"', "two\r\nlines: x", "北京", "back\\slash", "a\x00b"])
async def test_titles_of_outputs_in_headers(api: Api, worker: PlayedWorker, title: str) -> None:
    await offer(worker, returning(OutputPart("a", 1)), "titled", description=described(a={"title": title}))
    answer = await api.execute("titled", REFERENCE)
    assert answer.status_code == 204, answer.content
    header = answer.headers["Link"]
    assert header.startswith("<http://testserver/ogc/jobs/") and 'rel="a"' in header and "=?utf-8" not in header
    assert header.count('rel="') == 2, header


async def test_links_of_outputs_in_headers(api: Api, worker: PlayedWorker) -> None:
    href = 'http://example.org/> ; rel="next", <http://evil.example/'
    await offer(worker, returning(OutputPart("a", href=href)), "linked", description=described(a={}))
    answer = await api.execute("linked", REFERENCE)
    assert answer.status_code == 204 and "<http://evil" not in answer.headers["Link"]


WITH_NUL = pytest.param("text/html\x00", marks=pytest.mark.skipif(ON_POSTGRES, reason="the messages of workers have no NUL any more"))


@pytest.mark.parametrize("media_type", ["text/html\r\nSet-Cookie: a=b", "a", "text/北", 'image/png"; x="', WITH_NUL])
async def test_media_types_of_outputs_in_headers(api: Api, worker: PlayedWorker, media_type: str) -> None:
    async def do(inputs: Inputs, work: Work) -> list[OutputPart]:
        return [OutputPart("a", "text", media_type=media_type), OutputPart("b", "text", media_type=media_type)]

    await offer(worker, do, "typed", description=described(a={}, b={}))
    for body in (
        {"outputs": {"a": {}}},
        {},
        REFERENCE,
        {"outputs": {"a": {"transmissionMode": "reference"}, "b": {"transmissionMode": "reference"}}},
    ):
        answer = await api.execute("typed", body)
        assert answer.status_code in (200, 204), answer.content
        content = b"".join([piece async for piece in answer]) if answer.streaming else answer.content
        assert b"\r\nSet-Cookie" not in content


async def test_a_value_with_the_boundary_of_nothing(api: Api, worker: PlayedWorker) -> None:
    await offer(
        worker,
        returning(OutputPart("a", href="http://example.org/\r\nContent-Type: text/html\r\n\r\nhi"), OutputPart("b", 1)),
        "parts",
        description=described(a={}, b={}),
    )
    answer = await api.execute("parts", {})
    content = b"".join([piece async for piece in answer]) if answer.streaming else answer.content
    assert b"\r\nContent-Type: text/html" not in content


async def test_a_document_is_bounded_as_a_whole(api: Api, worker: PlayedWorker, settings: Any) -> None:
    settings.GEOSTREAM_PROCESS_RESULT_BYTES = 1000
    names = [f"o{number}" for number in range(10)]
    await offer(
        worker, returning(*(OutputPart(each, "x" * 300) for each in names)), "many", description=described(**{each: {} for each in names})
    )
    answer = await api.execute("many", {"response": "document"})
    assert answer.status_code == 200 and len(answer.content) < 5000
    assert sum(isinstance(each, str) for each in answer.json().values()) == 3


@pytest.mark.parametrize("content", [b"no json", b"[" * 100_000, b'"\xff"', b""])
async def test_a_blob_that_is_not_the_json_it_claims(api: Api, worker: PlayedWorker, content: bytes) -> None:
    async def do(inputs: Inputs, work: Work) -> list[OutputPart]:
        blob = await blobs.store(content, "application/json")
        await worker.jobs.read(blob.save)
        return [OutputPart("a", blob=blob.pk)]

    await offer(worker, do, "lying", description=described(a={}))
    answer = await api.execute("lying", {"response": "document"})
    assert answer.status_code != 500 or "log" not in answer.json()["detail"], answer.content


@pytest.mark.parametrize("value", [{"a": "b"}, 5, "not base64!", None, ["x"]])
async def test_bytes_that_are_none(api: Api, worker: PlayedWorker, value: Any) -> None:
    outputs = {"a": {"schema": {"type": "string", "contentEncoding": "binary", "contentMediaType": "image/png"}}}
    await offer(worker, returning(OutputPart("a", value)), "bytes", description={"inputs": {}, "outputs": outputs})
    for body in ({}, {"response": "document"}):
        answer = await api.execute("bytes", body)
        assert answer.status_code == 200, answer.content


# -- bodies ----------------------------------------------------------------------


def stored_files() -> list[Path]:
    return [each for each in Path(default_storage.location).rglob("*") if each.is_file()]


async def test_refused_jobs_leave_nothing_in_the_storage(api: Api, runtime: Runtime, settings: Any, tmp_path: Path) -> None:
    settings.MEDIA_ROOT = tmp_path
    settings.GEOSTREAM_PROCESS_QUEUE_OF_USER = 1
    settings.GEOSTREAM_PROCESS_INLINE_BYTES = 100
    await describe(runtime, "echo", description=ECHO)
    await api.run("echo", {"inputs": {"text": "x" * 1000}})
    assert len(stored_files()) == 1
    for _ in range(3):
        answer = await api.execute("echo", {"inputs": {"text": "x" * 1000}}, prefer="respond-async")
        assert answer.status_code == 429
    await runtime.service(Jobs).read(lambda: None)
    assert await Blob.objects.acount() == 1
    await until(lambda: len(stored_files()) == 1)
    assert await Job.objects.acount() == 1


async def test_a_client_that_leaves_while_its_inputs_are_stored(
    api: Api, runtime: Runtime, settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.MEDIA_ROOT = tmp_path
    settings.GEOSTREAM_PROCESS_INLINE_BYTES = 100
    await describe(runtime, "echo", description=ECHO)
    begun, go_on, store = threading.Event(), threading.Event(), blobs._store

    def slowly(data: bytes, media_type: str) -> Blob:
        begun.set()
        go_on.wait(10)
        return store(data, media_type)

    monkeypatch.setattr(blobs, "_store", slowly)
    request = asyncio.create_task(api.execute("echo", {"inputs": {"text": "x" * 1000}}, prefer="respond-async"))
    assert await asyncio.to_thread(begun.wait, 10)
    request.cancel()
    await asyncio.wait([request])
    go_on.set()
    await until(lambda: any(tmp_path.iterdir()) and not stored_files())


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.01)
