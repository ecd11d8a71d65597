"""Results in all their forms: for a client that has waited, and for one that comes later."""

from __future__ import annotations

import base64
from email.parser import BytesParser
from email.policy import HTTP
from typing import Any

import pytest

from processes.descriptions import ProcessDescription
from processes.http.results import load, results_of, stored_just_now
from processes.jobs.outcomes import OutputPart, Success, store_part, succeed_all
from processes.jobs.queue import NewJob, submit
from processes.jobs.service import Jobs
from processes.models import Blob, Job
from streaming.engine.runtime import Runtime
from tests.ogc_processes.descriptions.examples import BBOX, TIFF
from tests.ogc_processes.played_worker import Inputs, PlayedWorker, Work
from tests.ogc_processes.rows import LIMITS, claimed, lease_of, make_process, make_worker
from tests.ogc_processes.schemas import check

from .conftest import SITE, Api, offer
from .test_execution import E, never
from .test_jobs import begun

POINT = {"type": "Point", "coordinates": [1, 2]}
AREA = {"bbox": [1, 2, 3, 4], "crs": "http://www.opengis.net/def/crs/OGC/1.3/CRS84"}
BYTES = b"II*\0 and so on"
SCHEMAS: dict[str, Any] = {
    "text": {"type": "string"},
    "number": {"type": "number"},
    "list": {"type": "array", "items": {"type": "integer"}},
    "object": {"type": "object"},
    "point": {"type": "object", "format": "geojson-geometry"},
    "area": {"allOf": [{"format": "ogc-bbox"}, BBOX]},
    "image": {"type": "string", "contentEncoding": "binary", "contentMediaType": TIFF},
    "xml": {"type": "string", "contentMediaType": "application/xml"},
}
VALUES: dict[str, Any] = {
    **{"text": "häl\nlo", "number": 1.5, "list": [1, 2], "object": {"a": 1}, "point": POINT, "area": AREA},
    **{"image": base64.b64encode(BYTES).decode(), "xml": "<a/>"},
}
DOCUMENT: dict[str, Any] = {
    **{"text": "häl\nlo", "number": 1.5, "list": [1, 2], "area": AREA},
    "object": {"value": {"a": 1}, "mediaType": "application/json"},
    "point": {"value": POINT, "mediaType": "application/geo+json"},
    "image": {"value": VALUES["image"], "encoding": "base64", "mediaType": TIFF},
    "xml": "<a/>",
}
RAW: dict[str, tuple[str, bytes]] = {
    "text": ("text/plain; charset=utf-8", "häl\nlo".encode()),
    "number": ("text/plain; charset=utf-8", b"1.5"),
    "list": ("application/json", b"[1,2]"),
    "object": ("application/json", b'{"a":1}'),
    "point": ("application/geo+json", b'{"type":"Point","coordinates":[1,2]}'),
    "area": ("application/json", b'{"bbox":[1,2,3,4],"crs":"http://www.opengis.net/def/crs/OGC/1.3/CRS84"}'),
    "image": (TIFF, BYTES),
    "xml": ("application/xml", b"<a/>"),
}
REFERENCE = {"transmissionMode": "reference"}
DESCRIPTION = {"inputs": {}, "outputs": {name: {"title": f"The {name}", "schema": schema} for name, schema in SCHEMAS.items()}}


async def deliver(inputs: Inputs, work: Work) -> list[OutputPart]:
    return [OutputPart(name, VALUES[name]) for name in VALUES]


@pytest.fixture
async def delivering(worker: PlayedWorker) -> PlayedWorker:
    """A worker with a process that has an output of each kind."""
    await offer(worker, deliver, "deliver", description=DESCRIPTION)
    return worker


async def both(api: Api, body: Any, process: str = "deliver", **headers: str) -> list[Any]:
    """The answer to a client that waits, and the one to a client that asks for the results of that job."""
    waited = await api.execute(process, body, **headers)
    later = await api.get(f"/jobs/{(await Job.objects.aget()).id}/results", **headers)
    return [waited, later]


async def content(answer: Any) -> bytes:
    return b"".join([piece async for piece in answer.streaming_content]) if answer.streaming else answer.content


async def parts(answer: Any) -> dict[str, Any]:
    """The parts of a multipart answer by their Content-ID."""
    head = f"Content-Type: {answer['Content-Type']}\r\n\r\n".encode()
    message = BytesParser(policy=HTTP).parsebytes(head + await content(answer))
    assert message.is_multipart() and not message.defects
    return {part["Content-ID"]: part for part in message.iter_parts()}  # type: ignore[attr-defined]


# -- raw ------------------------------------------------------------------------------


@pytest.mark.parametrize("output", list(RAW))
async def test_one_output_is_itself(api: Api, delivering: PlayedWorker, output: str) -> None:
    for answer in await both(api, {"outputs": {output: {}}, "response": "raw"}):
        assert (answer.status_code, answer["Content-Type"], await content(answer)) == (200, *RAW[output])


async def test_what_somebody_wrote_is_no_page_of_this_site(api: Api, delivering: PlayedWorker) -> None:
    for answer in await both(api, {"outputs": {"xml": {}}}):
        assert answer["Content-Security-Policy"].startswith("sandbox") and answer["X-Content-Type-Options"] == "nosniff"
        assert answer["Content-Disposition"] == 'inline; filename="xml.xml"'


async def test_a_text_for_a_client_that_takes_json_only_is_json(api: Api, delivering: PlayedWorker) -> None:
    for answer in await both(api, {"outputs": {"text": {}}}, accept="application/json"):
        assert (answer["Content-Type"], answer.json()) == ("application/json", VALUES["text"])


async def test_several_outputs_are_parts(api: Api, delivering: PlayedWorker) -> None:
    for answer in await both(api, {"response": "raw"}, accept="application/json"):
        assert answer.status_code == 200 and answer["Content-Type"].startswith("multipart/related; boundary=")
        found = await parts(answer)
        assert list(found) == list(SCHEMAS)
        assert {name: part.get_content_type() for name, part in found.items()} == {name: RAW[name][0].partition(";")[0] for name in RAW}
        assert found["image"].get_payload(decode=True) == BYTES
        assert found["point"].get_payload(decode=True) == RAW["point"][1]


async def test_outputs_by_reference_are_links_without_a_body(api: Api, delivering: PlayedWorker) -> None:
    for answer in await both(api, {"outputs": {"text": REFERENCE, "image": REFERENCE}}):
        assert (answer.status_code, answer.content) == (204, b"")
        job = (await Job.objects.aget()).id
        assert f'<{SITE}/jobs/{job}/results/text>; rel="text"; type="text/plain"' in answer["Link"]
        assert f'<{SITE}/jobs/{job}/results/image>; rel="image"; type="{TIFF}"' in answer["Link"]


async def test_values_and_references_are_parts(api: Api, delivering: PlayedWorker) -> None:
    for answer in await both(api, {"outputs": {"text": {}, "image": REFERENCE}}):
        found = await parts(answer)
        assert found["text"].get_payload(decode=True) == RAW["text"][1]
        assert found["image"]["Content-Location"] == f"{SITE}/jobs/{(await Job.objects.aget()).id}/results/image"
        assert not found["image"].get_payload()


# -- document -------------------------------------------------------------------------


async def test_a_document_has_all_outputs(api: Api, delivering: PlayedWorker) -> None:
    for answer in await both(api, {"response": "document"}):
        assert (answer.status_code, answer["Content-Type"], answer.json()) == (200, "application/json", DOCUMENT)
        check("results", answer.json())


async def test_a_document_has_the_outputs_that_were_asked_for_in_their_order(api: Api, delivering: PlayedWorker) -> None:
    for answer in await both(api, {"outputs": {"number": {}, "text": REFERENCE}, "response": "document"}):
        link = {"href": f"{SITE}/jobs/{(await Job.objects.aget()).id}/results/text", "type": "text/plain", "title": "The text"}
        assert list(answer.json().items()) == [("number", 1.5), ("text", link)]
        check("results", answer.json())


async def test_several_outputs_are_a_document_for_who_takes_json_only_and_has_not_asked_for_raw(api: Api, delivering: PlayedWorker) -> None:
    for answer in await both(api, {}, accept="application/json"):
        assert answer.json() == DOCUMENT


async def test_no_outputs_asked_for_are_all(api: Api, delivering: PlayedWorker) -> None:
    for answer in await both(api, {"outputs": {}, "response": "document"}):
        assert list(answer.json()) == list(SCHEMAS)


async def test_what_is_large_is_a_link_in_a_document(api: Api, delivering: PlayedWorker, settings: Any) -> None:
    settings.GEOSTREAM_PROCESS_RESULT_BYTES = 12
    for answer in await both(api, {"response": "document"}):
        assert answer.json()["number"] == 1.5 and answer.json()["image"]["href"].endswith("/results/image")


# -- one output -------------------------------------------------------------------------


@pytest.mark.parametrize("output", list(RAW))
async def test_each_output_has_an_address(api: Api, delivering: PlayedWorker, output: str) -> None:
    await api.execute("deliver", {"response": "document"})
    answer = await api.get(f"/jobs/{(await Job.objects.aget()).id}/results/{output}")
    assert (answer.status_code, answer["Content-Type"], await content(answer)) == (200, *RAW[output])


async def test_an_unknown_output_is_named_so(api: Api, delivering: PlayedWorker) -> None:
    await api.execute("deliver", {"outputs": {"text": {}}})
    for output in ("nothing", "number"):
        answer = await api.get(f"/jobs/{(await Job.objects.aget()).id}/results/{output}")
        assert (answer.status_code, answer.json()["type"]) == (404, f"{E}no-such-output")


async def test_results_of_a_job_that_runs_are_not_ready(api: Api, worker: PlayedWorker) -> None:
    await offer(worker, never, "deliver", description=DESCRIPTION)
    job = (await begun(api, (await api.run("deliver"))["jobID"]))["jobID"]
    for path in ("results", "results/text"):
        answer = await api.get(f"/jobs/{job}/{path}")
        assert (answer.status_code, answer.json()["type"]) == (404, f"{E}result-not-ready")


# -- from where workers put them --------------------------------------------------------


async def blob(runtime: Runtime, data: bytes, media_type: str) -> Blob:
    from processes.http.blobs import store

    stored = await store(data, media_type)
    await runtime.service(Jobs).read(lambda: stored.save(force_insert=True))
    return stored


async def test_bytes_in_storage_are_delivered_like_values(api: Api, worker: PlayedWorker, runtime: Runtime) -> None:
    image = await blob(runtime, BYTES * 100_000, TIFF)
    point = await blob(runtime, RAW["point"][1], "application/geo+json")

    async def store(inputs: Inputs, work: Work) -> list[OutputPart]:
        return [OutputPart("image", blob=image.id, media_type=TIFF), OutputPart("point", blob=point.id, media_type="application/geo+json")]

    await offer(worker, store, "deliver", description=DESCRIPTION)
    document = (await api.execute("deliver", {"response": "document"})).json()
    assert document["point"] == DOCUMENT["point"] and base64.b64decode(document["image"]["value"]) == BYTES * 100_000
    job = (await Job.objects.aget()).id
    raw = await api.get(f"/jobs/{job}/results/image")
    assert raw["Content-Length"] == str(len(BYTES) * 100_000) and await content(raw) == BYTES * 100_000
    head = await api.request("HEAD", f"/jobs/{job}/results/image")
    assert (head["Content-Length"], head.content) == (raw["Content-Length"], b"")
    assert await content(await api.get(f"/jobs/{job}/results/point")) == RAW["point"][1]


async def test_what_is_elsewhere_is_linked(api: Api, worker: PlayedWorker) -> None:
    async def link(inputs: Inputs, work: Work) -> list[OutputPart]:
        return [OutputPart("image", href="https://example.org/a.tif", media_type=TIFF)]

    await offer(worker, link, "deliver", description=DESCRIPTION)
    answer = await api.execute("deliver", {})
    assert (answer.status_code, answer["Link"].partition(",")[0]) == (
        204,
        f'<https://example.org/a.tif>; rel="image"; type="{TIFF}"; title="The image"',
    )
    job = (await Job.objects.aget()).id
    moved = await api.get(f"/jobs/{job}/results/image")
    assert (moved.status_code, moved["Location"]) == (307, "https://example.org/a.tif")


async def test_parts_of_an_output_are_put_together(api: Api, worker: PlayedWorker) -> None:
    async def in_parts(inputs: Inputs, work: Work) -> list[OutputPart]:
        return [OutputPart("list", [n], seq=n) for n in range(3)] + [OutputPart("text", each, seq=n) for n, each in enumerate("abc")]

    await offer(worker, in_parts, "deliver", description=DESCRIPTION)
    assert (await api.execute("deliver", {"response": "document"})).json() == {"text": "abc", "list": [0, 1, 2]}


async def test_results_stay_when_the_process_is_gone(api: Api, delivering: PlayedWorker, runtime: Runtime) -> None:
    from processes.catalogue import ProcessCatalogue
    from processes.models import Process

    await api.execute("deliver", {"response": "document"})
    await runtime.service(Jobs).read(lambda: Process.objects.all().delete())
    await runtime.service(ProcessCatalogue).announce()
    document = (await api.get(f"/jobs/{(await Job.objects.aget()).id}/results")).json()
    assert document["text"] == VALUES["text"] and document["object"] == DOCUMENT["object"]


async def test_values_are_as_they_were_given_and_in_their_order(api: Api, echoing: PlayedWorker) -> None:
    texts = ["1", "null", '"a"', "", "{}", "a\\u0000b"]
    for text in texts:
        assert (await api.execute("echo", {"inputs": {"text": text}, "response": "document"})).json() == {"text": text}
    body = '{"inputs": {"numbers": [3, 1, 2], "text": "a"}, "outputs": {"numbers": {}, "text": {}}, "response": "document"}'
    assert (await api.execute("echo", body.encode())).content == b'{"numbers":[3,1,2],"text":"a"}'


@pytest.mark.django_db
@pytest.mark.parametrize("requested", [{}, {"text": {"transmissionMode": "reference"}, "list": {}}])
def test_a_result_that_was_stored_just_now_is_as_it_would_be_read(requested: dict[str, Any]) -> None:
    process = make_process(description=DESCRIPTION)
    new = NewJob(process.pk, {}, outputs=requested)
    submit(new, LIMITS)
    (given,) = claimed(process, make_worker("w", process))
    parts = [OutputPart(name, value) for name, value in VALUES.items()]
    (outcome,) = succeed_all([Success(lease_of(given), parts)])
    stored, read = stored_just_now(new, outcome), load(new.id)
    assert stored is not None and read is not None
    description = ProcessDescription.parse(process.description)
    assert results_of(stored, description) == results_of(read, description)
    assert (stored.job.id, stored.job.status, stored.response) == (read.job.id, read.job.status, read.response)


@pytest.mark.django_db
def test_a_job_that_had_begun_is_read_for_parts_may_have_come_before() -> None:
    process = make_process()
    new = NewJob(process.pk, {})
    submit(new, LIMITS)
    (given,) = claimed(process, make_worker("w", process))
    store_part(lease_of(given), OutputPart("greeting", "a"))
    (outcome,) = succeed_all([Success(lease_of(given), [])])
    assert stored_just_now(new, outcome) is None
