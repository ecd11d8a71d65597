"""Inputs that are links: followed and checked before there is a job."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from processes.http.blobs import content
from processes.models import Blob, Job, JobRequest
from streaming.engine.runtime import Runtime
from tests.ogc_processes.descriptions.examples import TIFF
from tests.receiver import Receiver, receiving, response

from .conftest import Api, describe

INPUTS: dict[str, Any] = {
    "text": {"minOccurs": 0, "schema": {"type": "string"}},
    "numbers": {"minOccurs": 0, "schema": {"type": "array", "items": {"type": "integer"}}},
    "blob": {"minOccurs": 0, "schema": {"type": "string", "contentEncoding": "binary", "contentMediaType": TIFF}},
    "many": {"minOccurs": 0, "maxOccurs": "unbounded", "schema": {"type": "integer"}},
    "passed": {"minOccurs": 0, "byReference": "pass", "schema": {"type": "string"}},
    "either": {
        "minOccurs": 0,
        "schema": {
            "oneOf": [
                {"type": "string", "contentMediaType": "application/gml+xml"},
                {"type": "object", "contentMediaType": "application/geo+json"},
            ]
        },
    },
}


@pytest.fixture
async def files(settings: Any, runtime: Runtime) -> AsyncIterator[Receiver]:
    """A server that links may lead to, and the process `linked`."""
    settings.GEOSTREAM_PROCESS_PRIVATE_ADDRESSES = "127.0.0.1"
    await describe(runtime, "linked", description={"inputs": INPUTS})
    async with receiving() as receiver:
        yield receiver


async def inputs_of(api: Api, **inputs: Any) -> Any:
    """The inputs of the job that was made."""
    await api.run("linked", {"inputs": inputs})
    return (await JobRequest.objects.aget()).inputs


async def refused(api: Api, **inputs: Any) -> Any:
    answer = await api.execute("linked", {"inputs": inputs}, prefer="respond-async")
    assert answer.status_code == 400 and await Job.objects.acount() == 0, answer.content
    return {error["pointer"]: error["detail"] for error in answer.json()["errors"]}


@pytest.mark.parametrize(
    ("name", "answer", "stored"),
    [
        ("text", response(200, "häl".encode(), content_type="text/plain"), {"value": "häl"}),
        ("numbers", response(200, b"[1, 2]", content_type="application/json"), {"value": [1, 2], "mediaType": "application/json"}),
        ("numbers", response(200, b"[1, 2]", content_type="application/octet-stream"), {"value": [1, 2]}),
        ("blob", response(200, b"hi", content_type="image/tiff"), {"value": "aGk=", "mediaType": "image/tiff", "encoding": "base64"}),
        ("blob", response(200, b"hi"), {"value": "aGk=", "encoding": "base64"}),
        ("either", response(200, b"{}", content_type="application/geo+json"), {"value": {}, "mediaType": "application/geo+json"}),
        ("either", response(200, b"<a/>", content_type="application/gml+xml"), {"value": "<a/>", "mediaType": "application/gml+xml"}),
    ],
)
async def test_a_link_is_followed_to_its_value(api: Api, files: Receiver, name: str, answer: bytes, stored: Any) -> None:
    files.answers["/it"] = answer
    assert await inputs_of(api, **{name: {"href": files.url("/it")}}) == {name: [stored]}


async def test_the_type_that_the_client_gives_counts_more_than_the_servers(api: Api, files: Receiver) -> None:
    files.answers["/it"] = response(200, b"{}", content_type="application/gml+xml")
    found = await inputs_of(api, either={"href": files.url("/it"), "type": "application/geo+json"})
    assert found == {"either": [{"value": {}, "mediaType": "application/geo+json"}]}


async def test_links_are_among_other_values(api: Api, files: Receiver) -> None:
    files.answers["/it"] = response(200, b"2")
    assert await inputs_of(api, many=[1, {"href": files.url("/it")}, 3]) == {"many": [{"value": 1}, {"value": 2}, {"value": 3}]}


async def test_large_bytes_behind_a_link_are_stored_beside_the_job(api: Api, files: Receiver) -> None:
    files.answers["/it"] = response(200, b"x" * 500_000, content_type="image/tiff")
    found = await inputs_of(api, blob={"href": files.url("/it")})
    blob = await Blob.objects.aget()
    assert found["blob"][0]["blob"]["id"] == str(blob.id) and await content(blob) == b"x" * 500_000


async def test_a_link_that_the_worker_follows_stays_one(api: Api, files: Receiver) -> None:
    found = await inputs_of(api, passed={"href": files.url("/it"), "type": "text/plain"})
    assert found == {"passed": [{"href": files.url("/it"), "type": "text/plain"}]} and not files.received


async def test_all_that_is_wrong_behind_links_is_named_at_once(api: Api, files: Receiver) -> None:
    files.answers |= {"/bad": response(200, b'["a", 1]'), "/text": response(200, b"\xff"), "/cut": response(200, b"[1, ")}
    faults = await refused(
        api,
        numbers={"href": files.url("/bad")},
        text={"href": files.url("/text")},
        many=[{"href": files.url("/cut")}, {"href": files.url("/none")}],
    )
    assert set(faults) == {"/inputs/numbers/0", "/inputs/text/href", "/inputs/many/0/href", "/inputs/many/1/href"}
    assert faults["/inputs/many/1/href"] == "the server there answers 404"


async def test_what_is_inline_is_judged_before_links_are_followed(api: Api, files: Receiver) -> None:
    assert set(await refused(api, numbers=["a"], text={"href": files.url("/text")})) == {"/inputs/numbers/0"}
    assert not files.received


@pytest.mark.parametrize(
    "href",
    [
        *("http://127.0.0.2/", "http://169.254.169.254/latest/meta-data", "http://[::1]/", "http://10.0.0.1/"),
        *("file:///etc/passwd", "ftp://example.org/", "http://2130706434/", "http://user:secret@127.0.0.1/", "nothing"),
    ],
)
@pytest.mark.parametrize("name", ["text", "passed"])
async def test_links_lead_to_public_addresses_only(api: Api, files: Receiver, name: str, href: str) -> None:
    assert f"/inputs/{name}/href" in await refused(api, **{name: {"href": href}})


async def test_redirects_lead_there_only_as_well(api: Api, files: Receiver) -> None:
    files.answers["/it"] = response(302, location="http://127.0.0.2/")
    assert await refused(api, text={"href": files.url("/it")}) == {"/inputs/text/href": "127.0.0.2 is not a public address"}


async def test_links_lead_to_so_much_and_so_many_only(api: Api, files: Receiver, settings: Any) -> None:
    settings.GEOSTREAM_PROCESS_LINK_BYTES, settings.GEOSTREAM_PROCESS_LINKS, settings.GEOSTREAM_PROCESS_LINK_SECONDS = 100, 2, 0.3
    files.answers |= {"/large": response(200, b"1" + b" " * 100), "/half": response(200, b"1" + b" " * 59), "/slow": b""}
    assert "larger than 100" in (await refused(api, many=[{"href": files.url("/large")}]))["/inputs/many/0/href"]
    assert set(await refused(api, many=[{"href": files.url("/half")}] * 2)) == {"/inputs/many/1/href"}
    assert "seconds" in (await refused(api, many=[{"href": files.url("/slow")}]))["/inputs/many/0/href"]
    assert set(await refused(api, many=[{"href": files.url("/half")}] * 3)) == {"/inputs"}


@pytest.mark.parametrize("name, body", [("text", b"a\0b"), ("numbers", b'["\\u0000"]'), ("either", b'{"\\u0000": 1}')])
async def test_what_a_database_cannot_store(api: Api, files: Receiver, name: str, body: bytes) -> None:
    files.answers["/file"] = response(body=body, content_type="application/geo+json" if name == "either" else "text/plain")
    answer = await api.execute("linked", {"inputs": {name: {"href": files.url("/file")}}}, prefer="respond-async")
    assert answer.status_code == 400 and "NUL" in answer.json()["detail"]


async def test_links_to_what_is_slow_hold_up_their_own_client_only(api: Api, user: Any, files: Receiver, settings: Any) -> None:
    settings.GEOSTREAM_PROCESS_LINK_SECONDS = 10.0
    reached = asyncio.Semaphore(0)
    done = asyncio.Event()

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        reached.release()
        await done.wait()
        writer.close()

    async with await asyncio.start_server(silent, "127.0.0.1", 0) as server:
        slow = {"inputs": {"text": {"href": f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"}}}
        held = [asyncio.create_task(api.execute("linked", slow, prefer="respond-async")) for _ in range(20)]
        await reached.acquire()
        await reached.acquire()
        assert (await api.execute("linked", slow, prefer="respond-async")).status_code == 429
        files.answers["/file"] = response(body=b"text")
        other = await user("ann")
        answer = await other.execute("linked", {"inputs": {"text": {"href": files.url("/file")}}}, prefer="respond-async")
        assert answer.status_code == 201
        done.set()
        for each in held:
            each.cancel()
        await asyncio.wait(held)
