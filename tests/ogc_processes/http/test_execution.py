"""Executing processes: what is refused before there is a job, and how the answer is chosen."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from processes.http.blobs import content
from processes.jobs.outcomes import OutputPart
from processes.models import Job, JobRequest
from streaming.engine.runtime import Runtime
from tests.ogc_processes.descriptions.examples import ECHO
from tests.ogc_processes.played_worker import Failure, Inputs, PlayedWorker, Work, echo

from .conftest import SITE, Api, describe, offer

TEXT = {"inputs": {"text": "teststring"}}
E = "http://www.opengis.net/def/exceptions/ogcapi-processes-1/1.0/"


async def jobs() -> int:
    return await Job.objects.acount()


async def never(inputs: Inputs, work: Work) -> list[OutputPart]:
    await asyncio.Event().wait()
    raise AssertionError


# -- the body -----------------------------------------------------------------------


@pytest.mark.parametrize("body", [b"[]", b'"text"', b"null", b"3", b"{", b"\xff", b"[" * 10_000, b'{"inputs": NaN}'])
async def test_a_body_that_is_no_object_is_refused(api: Api, echoing: PlayedWorker, body: bytes) -> None:
    answer = await api.execute("echo", body)
    assert (answer.status_code, answer.json()["type"]) == (400, "InvalidParameterValue")
    assert await jobs() == 0


@pytest.mark.parametrize(
    ("body", "pointers"),
    [
        ({}, ["/inputs/text"]),
        ({"invalid-execute-request": True}, ["/inputs/text"]),
        ({"inputs": []}, ["/inputs", "/inputs/text"]),
        ({"inputs": {"text": {"type": "wrong/type"}}}, ["/inputs/text"]),
        ({"inputs": {"text": 3, "pause": "x", "more": 1}}, ["/inputs/more", "/inputs/text", "/inputs/pause"]),
        ({**TEXT, "response": "zzz"}, ["/response"]),
        ({**TEXT, "response": None}, ["/response"]),
        (
            {**TEXT, "outputs": {"none": {}, "blob": {"format": {"mediaType": "image/png"}}}},
            ["/outputs/none", "/outputs/blob/format/mediaType"],
        ),
        ({**TEXT, "outputs": {"text": {"transmissionMode": "carrier-pigeon"}}}, ["/outputs/text/transmissionMode"]),
        ({**TEXT, "outputs": [], "subscriber": "x"}, ["/outputs", "/subscriber"]),
        ({**TEXT, "subscriber": {"successUri": "ftp://a/b", "failedUri": 1}}, ["/subscriber/successUri", "/subscriber/failedUri"]),
        ({**TEXT, "subscriber": {"successUri": "http://127.0.0.1/a"}}, ["/subscriber/successUri"]),
        ({"response": 1, "inputs": {"pause": -1}, "outputs": {"a": {}}}, ["/response", "/inputs/text", "/inputs/pause", "/outputs/a"]),
    ],
)
async def test_everything_that_is_wrong_is_named_before_there_is_a_job(
    api: Api, echoing: PlayedWorker, body: Any, pointers: list[str]
) -> None:
    answer = await api.execute("echo", body)
    assert (answer.status_code, answer.json()["type"]) == (400, "InvalidParameterValue")
    assert [error["pointer"] for error in answer.json()["errors"]] == pointers
    assert await jobs() == 0


async def test_faults_name_their_input(api: Api, echoing: PlayedWorker) -> None:
    errors = (await api.execute("echo", {"inputs": {"text": 3}})).json()["errors"]
    assert errors == [{"input": "text", "pointer": "/inputs/text", "detail": 'it is not of type "string"'}]


async def test_a_text_that_databases_cannot_store_is_refused(api: Api, echoing: PlayedWorker) -> None:
    assert (await api.execute("echo", {"inputs": {"text": "a\0b"}})).status_code == 400
    assert (await api.execute("echo", {"inputs": {"text": "a\\u0000b"}})).status_code == 200


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", "application/xml", ""])
async def test_a_body_of_another_type_is_415(api: Api, echoing: PlayedWorker, content_type: str) -> None:
    assert (await api.execute("echo", TEXT, content_type=content_type)).status_code == 415


@pytest.mark.parametrize("content_type", ["application/json", "Application/JSON; charset=utf-8", "application/vnd.ogc+json"])
async def test_json_may_be_called_in_several_ways(api: Api, echoing: PlayedWorker, content_type: str) -> None:
    assert (await api.execute("echo", TEXT, content_type=content_type)).status_code == 200


async def test_a_body_that_is_too_large_is_413(api: Api, echoing: PlayedWorker, settings: Any) -> None:
    settings.GEOSTREAM_PROCESS_BODY_BYTES = 2000
    assert (await api.execute("echo", {"inputs": {"text": "x" * 2000}})).status_code == 413
    assert await jobs() == 0


@pytest.mark.parametrize("body", [None, {}, {"inputs": {}}, {"outputs": {}}, {"of": "no interest"}])
async def test_a_process_without_required_inputs_needs_no_body(api: Api, worker: PlayedWorker, body: Any) -> None:
    async def greet(inputs: Inputs, work: Work) -> list[OutputPart]:
        return [OutputPart("greeting", "hello")]

    await offer(worker, greet, "greet", description={"inputs": {}})
    answer = await api.execute("greet", body)
    assert (answer.status_code, answer.content) == (200, b"hello")


async def test_a_large_request_is_checked_as_well(api: Api, echoing: PlayedWorker) -> None:
    assert (await api.execute("echo", {"inputs": {"text": "x", "numbers": [1] * 100_000 + ["a"]}})).status_code == 400
    assert (await api.execute("echo", {"inputs": {"text": "x" * 100_000}}, prefer="respond-async")).status_code == 201


# -- who ------------------------------------------------------------------------------


async def test_nobody_executes_unless_the_site_allows_it(api: Api, echoing: PlayedWorker, settings: Any) -> None:
    settings.GEOSTREAM_PROCESS_ANONYMOUS = False
    answer = await api.execute("echo", TEXT)
    assert answer.status_code == 401 and answer["WWW-Authenticate"]
    assert (await api.get("/processes/echo")).status_code == 200


async def test_a_user_executes_with_a_token(user: Callable[..., Any], echoing: PlayedWorker) -> None:
    ada = await user("ada")
    await ada.run("echo", TEXT)
    assert (await Job.objects.aget()).owner_id == ada.user.pk


async def test_a_page_executes_with_its_session_and_its_csrf_token(user: Callable[..., Any], echoing: PlayedWorker) -> None:
    ada = await user("ada")
    ada.headers = {}
    ada.client.handler.enforce_csrf_checks = True
    await ada.client.aforce_login(ada.user)
    assert (await ada.execute("echo", TEXT)).status_code == 403
    token = "a" * 32
    ada.client.cookies["csrftoken"] = token
    answer = await ada.execute("echo", TEXT, x_csrftoken=token)
    assert answer.status_code == 200, answer.content
    assert (await Job.objects.aget()).owner_id == ada.user.pk


async def test_a_full_queue_is_429(api: Api, runtime: Runtime, settings: Any) -> None:
    settings.GEOSTREAM_PROCESS_QUEUE = 1
    await describe(runtime, "echo", description=ECHO)
    await api.run("echo", TEXT)
    answer = await api.execute("echo", TEXT, prefer="respond-async")
    assert answer.status_code == 429 and answer["Retry-After"] and answer.json()["code"] == "queue_full"


# -- the mode ---------------------------------------------------------------------------


async def test_the_job_of_an_asynchronous_request_is_where_its_answer_says(api: Api, echoing: PlayedWorker) -> None:
    answer = await api.execute("echo", TEXT, prefer="respond-async")
    job = answer.json()
    assert (answer.status_code, answer["Location"], answer["Preference-Applied"]) == (201, f"{SITE}/jobs/{job['jobID']}", "respond-async")
    assert (job["status"], job["type"], job["processID"], job["progress"]) == ("accepted", "process", "echo", 0)
    assert "started" not in job and job["created"].endswith("Z")
    assert (await api.json(answer["Location"]))["jobID"] == job["jobID"]


async def test_who_waits_is_given_the_result_and_a_link_to_the_job(api: Api, echoing: PlayedWorker) -> None:
    answer = await api.execute("echo", TEXT)
    assert (answer.status_code, answer.content, answer["Content-Type"]) == (200, b"teststring", "text/plain; charset=utf-8")
    job = await Job.objects.aget()
    assert f'<{SITE}/jobs/{job.id}>; rel="monitor"' in answer["Link"] and "Location" not in answer
    assert "Preference-Applied" not in answer


CASES = {
    ("sync-execute",): {
        None: (200, None),
        "respond-async": (200, None),
        "wait=5": (200, None),
        "respond-async, wait=5": (200, None),
    },
    ("async-execute",): {
        None: (201, None),
        "respond-async": (201, "respond-async"),
        "wait=5": (201, None),
        "respond-async, wait=5": (201, "respond-async"),
    },
    ("sync-execute", "async-execute"): {
        None: (200, None),
        "respond-sync": (200, None),
        "respond-async": (201, "respond-async"),
        "respond-async ": (201, "respond-async"),
        "Respond-Async; foo=bar": (201, "respond-async"),
        'other="a, respond-async", wait=5': (200, "wait=5"),
        "wait=5": (200, "wait=5"),
        "wait=0, respond-async": (201, "respond-async, wait=0"),
        "respond-async, wait=5": (200, "wait=5"),
        "wait=soon": (200, None),
    },
}


@pytest.mark.parametrize(
    ("control", "prefer", "status", "applied"),
    [(control, prefer, *result) for control, cases in CASES.items() for prefer, result in cases.items()],
)
async def test_the_mode_is_chosen_as_the_process_and_the_client_have_it(
    api: Api, worker: PlayedWorker, control: tuple[str, ...], prefer: str | None, status: int, applied: str | None
) -> None:
    await offer(worker, echo, "echo", description={**ECHO, "jobControlOptions": list(control)})
    if prefer == "wait=0, respond-async":
        worker.functions = dict.fromkeys(worker.functions, never)
    answer = await api.execute("echo", TEXT, **({} if prefer is None else {"prefer": prefer}))
    assert (answer.status_code, answer.get("Preference-Applied")) == (status, applied), answer.content


async def test_a_process_that_goes_on_for_ever_is_never_waited_for(api: Api, worker: PlayedWorker) -> None:
    await offer(worker, never, "echo", description=ECHO, continuous=True)
    assert (await api.execute("echo", TEXT)).status_code == 201
    assert "sync-execute" not in (await api.json("/processes/echo"))["jobControlOptions"]


@pytest.mark.parametrize("prefer", ["wait=0", None])
async def test_who_has_waited_long_enough_is_given_the_job(api: Api, worker: PlayedWorker, settings: Any, prefer: str | None) -> None:
    settings.GEOSTREAM_PROCESS_SYNC_SECONDS = 0.05
    await offer(worker, never, "echo", description=ECHO)
    answer = await api.execute("echo", TEXT, **({} if prefer is None else {"prefer": prefer}))
    assert answer.status_code == 201
    assert answer["Location"] == f"{SITE}/jobs/{answer.json()['jobID']}"


async def test_who_wants_the_result_or_nothing_gets_nothing_too_late(api: Api, worker: PlayedWorker, settings: Any) -> None:
    settings.GEOSTREAM_PROCESS_SYNC_SECONDS = 0.05
    await offer(worker, never, "echo", description=ECHO)
    assert (await api.execute("echo", TEXT, prefer="handling=strict")).status_code == 504
    assert (await Job.objects.aget()).status == "dismissed"


async def test_without_a_worker_a_job_waits_but_no_client_does(api: Api, runtime: Runtime, settings: Any) -> None:
    settings.GEOSTREAM_PROCESS_WORKER_SECONDS = 0.1
    await describe(runtime, "echo", description=ECHO)
    answer = await api.execute("echo", TEXT)
    assert answer.status_code == 503 and answer["Retry-After"]
    assert await jobs() == 0
    assert (await api.execute("echo", TEXT, prefer="respond-async")).status_code == 201


async def test_a_worker_that_comes_in_time_is_waited_for(api: Api, worker: PlayedWorker, runtime: Runtime, settings: Any) -> None:
    settings.GEOSTREAM_PROCESS_WORKER_SECONDS = 20.0
    process = await describe(runtime, "echo", description=ECHO)
    waiting = asyncio.create_task(api.execute("echo", TEXT))
    await asyncio.sleep(0)
    await worker.offer(echo, process)
    assert (await waiting).status_code == 200


async def test_jobs_of_clients_that_wait_can_be_kept_from_them(api: Api, worker: PlayedWorker, settings: Any) -> None:
    settings.GEOSTREAM_PROCESS_SYNC_JOBS_VISIBLE = False
    await offer(worker, echo, "echo", description=ECHO)
    answer = await api.execute("echo", TEXT)
    assert answer.status_code == 200 and "Link" not in answer
    assert (await api.json("/jobs"))["jobs"] == []
    assert (await api.get(f"/jobs/{(await Job.objects.aget()).id}")).status_code == 404
    settings.GEOSTREAM_PROCESS_SYNC_SECONDS = 0.05
    worker.functions = dict.fromkeys(worker.functions, never)
    late = await api.execute("echo", TEXT)
    assert late.status_code == 201 and (await api.get(late["Location"])).status_code == 200


# -- failures -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("failure", "status", "kind"),
    [
        (Failure(400, "bad geometry", type="InvalidParameterValue"), 400, "InvalidParameterValue"),
        (Failure(422, "cannot be done"), 422, "about:blank"),
        (Failure(500, "broke"), 500, "about:blank"),
        (Failure(200, "says it failed well"), 500, "about:blank"),
    ],
)
async def test_a_failure_has_the_status_that_the_worker_gave_it(
    api: Api, worker: PlayedWorker, failure: Failure, status: int, kind: str
) -> None:
    async def fail(inputs: Inputs, work: Work) -> list[OutputPart]:
        raise failure

    failure.document.setdefault("type", kind)
    failure.document["type"] = kind
    await offer(worker, fail, "echo", description=ECHO)
    answer = await api.execute("echo", TEXT)
    assert (answer.status_code, answer.json()["type"], answer.json()["detail"]) == (status, kind, str(failure))
    again = await api.get(f"/jobs/{(await Job.objects.aget()).id}/results")
    assert (again.status_code, again.json()["detail"]) == (status, str(failure))


async def test_a_document_for_a_client_that_takes_no_json_is_406_before_there_is_a_job(api: Api, echoing: PlayedWorker) -> None:
    assert (await api.execute("echo", {**TEXT, "response": "document"}, accept="image/tiff")).status_code == 406
    assert await jobs() == 0


async def test_inputs_reach_the_job_in_one_form(api: Api, echoing: PlayedWorker) -> None:
    body = {"inputs": {"text": {"value": "a"}, "area": {"bbox": [1, 2, 3, 4]}, "blob": {"value": "aGk=", "mediaType": "image/tiff"}}}
    await api.run("echo", body)
    request = await JobRequest.objects.aget()
    assert request.inputs == {
        "text": [{"value": "a"}],
        "area": [{"value": {"bbox": [1, 2, 3, 4], "crs": "http://www.opengis.net/def/crs/OGC/1.3/CRS84"}}],
        "blob": [{"value": "aGk=", "mediaType": "image/tiff", "encoding": "base64"}],
    }


async def test_large_inputs_are_stored_beside_the_job(api: Api, runtime: Runtime, settings: Any) -> None:
    settings.GEOSTREAM_PROCESS_INLINE_BYTES = 16
    await describe(runtime, "echo", description=ECHO)
    await api.run("echo", {"inputs": {"text": "x" * 100, "numbers": [1], "blob": "aGVsbG8sIGhlbGxvIQ=="}})
    request = await JobRequest.objects.select_related("job").aget()
    assert request.inputs["numbers"] == [{"value": [1]}]
    stored = {blob.media_type: blob async for blob in request.job.blobs.all()}
    assert await content(stored["image/tiff; application=geotiff"]) == b"hello, hello!"
    assert await content(stored["text/plain"]) == b'"' + b"x" * 100 + b'"'
    (blob,) = request.inputs["blob"]
    row = stored["image/tiff; application=geotiff"]
    assert blob == {"blob": {"id": str(row.id), "size": 13, "sha256": row.sha256}, "mediaType": row.media_type}


async def test_together_inputs_fit_into_a_message(api: Api, runtime: Runtime) -> None:
    several = {"inputs": {"x": {"maxOccurs": "unbounded", "schema": {"type": "string"}}}}
    await describe(runtime, "many", description=several)
    await api.run("many", {"inputs": {"x": ["y" * 100_000] * 10}})
    request = await JobRequest.objects.aget()
    assert sum("value" in each for each in request.inputs["x"]) == 5 and len(request.inputs["x"]) == 10


# -- what is returned --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "prefer", "applied", "large"),
    [
        ({}, "return=minimal", "return=minimal", "link"),
        ({"response": "document"}, "return=minimal, wait=5", "wait=5, return=minimal", "link"),
        ({"response": "document"}, "return=representation", "return=representation", "value"),
        ({"response": "document"}, "return=much", None, "value"),
    ],
)
async def test_large_outputs_are_links_or_not_as_the_client_prefers(
    api: Api, echoing: PlayedWorker, settings: Any, body: Any, prefer: str, applied: str | None, large: str
) -> None:
    settings.GEOSTREAM_PROCESS_MINIMAL_BYTES = 100
    answer = await api.execute("echo", {"inputs": {"text": "x" * 200, "numbers": [1]}, **body}, prefer=prefer)
    found = answer.json()
    assert found["numbers"] == [1] and answer.get("Preference-Applied") == applied
    assert "href" in found["text"] if large == "link" else found["text"] == "x" * 200


async def test_the_form_that_the_request_asks_for_comes_before_what_the_client_prefers(api: Api, echoing: PlayedWorker) -> None:
    answer = await api.execute("echo", {**TEXT, "response": "raw"}, prefer="return=minimal")
    assert answer.content == b"teststring" and "Preference-Applied" not in answer


async def test_the_results_of_a_job_are_as_its_client_preferred(api: Api, echoing: PlayedWorker, settings: Any) -> None:
    settings.GEOSTREAM_PROCESS_MINIMAL_BYTES = 5
    answer = await api.execute("echo", TEXT, prefer="return=minimal")
    monitor = answer["Link"].partition("<")[2].partition(">")[0]
    assert "href" in (await api.json(f"{monitor}/results"))["text"]
