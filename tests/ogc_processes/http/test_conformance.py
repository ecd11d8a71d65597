"""What the test suite of the standard (ets-ogcapi-processes10) looks for, in its words and with its odd requests."""

from __future__ import annotations

from typing import Any

import pytest

from processes.models import Job
from tests.ogc_processes.played_worker import PlayedWorker

from .conftest import SITE, Api
from .test_documents import links
from .test_execution import E
from .test_jobs import OGC, ended
from .test_results import parts

TEXT = "teststring"
"""What the suite sends, and looks for in answers."""


@pytest.fixture(autouse=True)
def _echo(echoing: PlayedWorker) -> None:
    """The suite is run with the echo process."""


async def test_the_landing_page(api: Api) -> None:
    found = links(await api.json("/"))
    assert {"service-desc", f"{OGC}conformance", f"{OGC}processes"} <= set(found)
    assert found["service-desc"]["type"] == "application/vnd.oai.openapi+json;version=3.0"
    for each in (f"{OGC}conformance", f"{OGC}processes", "service-desc"):
        assert (await api.get(found[each]["href"])).status_code == 200


async def test_the_core_is_declared(api: Api) -> None:
    assert "http://www.opengis.net/spec/ogcapi-processes-1/1.0/conf/core" in (await api.json("/conformance"))["conformsTo"]


async def test_a_limit_of_one_is_one_process(api: Api) -> None:
    assert len((await api.json("/processes?limit=1"))["processes"]) == 1


async def test_inputs_and_outputs_have_schemas(api: Api) -> None:
    document = await api.json("/processes/echo")
    assert all("schema" in each for each in [*document["inputs"].values(), *document["outputs"].values()])


@pytest.mark.parametrize(
    "path", ["/processes/there-is-no-such-process", "/jobs/there-is-no-such-job", "/jobs/there-is-no-such-job/results"]
)
async def test_unknown_processes_and_jobs_are_exceptions(api: Api, path: str) -> None:
    answer = await api.get(path, accept="application/json")
    kind = "no-such-process" if "process" in path.split("/")[1] else "no-such-job"
    assert (answer.status_code, answer["Content-Type"], answer.json()["type"]) == (404, "application/json", E + kind)


async def test_executing_with_an_object_for_outputs_that_is_empty(api: Api) -> None:
    body = {"inputs": {"text": TEXT}, "outputs": {}}
    assert (await api.execute("echo", body)).status_code == 200
    assert (await api.execute("echo", body, prefer="respond-async ")).status_code == 201


async def test_an_asynchronous_request(api: Api) -> None:
    answer = await api.execute("echo", {"inputs": {"text": TEXT}}, prefer="respond-async ")
    assert answer.status_code == 201 and answer["Location"].startswith("http")
    status = await api.json(answer["Location"])
    assert {each["rel"] for each in status["links"]} & {"status", "monitor"}


@pytest.mark.parametrize(
    "output", [{"text": {}}, {"text": {"transmissionMode": "value"}}, {"text": {"format": {"mediaType": "text/plain"}}}]
)
async def test_a_raw_value(api: Api, output: Any) -> None:
    answer = await api.execute("echo", {"inputs": {"text": TEXT}, "outputs": output, "response": "raw"})
    assert (answer.status_code, answer.content.decode()) == (200, TEXT)


async def test_several_raw_values(api: Api) -> None:
    body = {"inputs": {"text": TEXT, "numbers": [1]}, "outputs": {"text": {}, "numbers": {}}, "response": "raw"}
    found = await parts(await api.execute("echo", body))
    assert TEXT in found["text"].get_payload()


async def test_a_raw_reference_has_no_body_and_a_link(api: Api) -> None:
    body = {"inputs": {"text": TEXT}, "outputs": {"text": {"transmissionMode": "reference"}}, "response": "raw"}
    answer = await api.execute("echo", body)
    assert (answer.status_code, answer.content) == (204, b"") and "Link" in answer


async def test_a_document(api: Api) -> None:
    body = {"inputs": {"text": TEXT}, "outputs": {"text": {}}, "response": "document"}
    assert (await api.execute("echo", body)).json() == {"text": TEXT}


@pytest.mark.parametrize(
    "value", [{"value": TEXT}, {"value": TEXT, "mediaType": "text/plain"}, {"value": TEXT, "format": {"mediaType": "text/plain"}}]
)
async def test_qualified_values(api: Api, value: Any) -> None:
    assert TEXT in (await api.execute("echo", {"inputs": {"text": value}})).content.decode()


async def test_a_box_and_bytes_and_a_list(api: Api) -> None:
    inputs = {"text": TEXT, "area": {"bbox": [1, 2, 3, 4]}, "blob": {"value": "aGk=", "encoding": "base64"}, "numbers": [1, 2, 3]}
    assert (await api.execute("echo", {"inputs": inputs, "outputs": {"numbers": {}}})).json() == [1, 2, 3]


@pytest.mark.parametrize(
    "body", [{"invalid-execute-request": "x"}, {"inputs": {"text": {"type": "wrong/type"}}}, {"inputs": {"unknown": 1, "text": TEXT}}]
)
async def test_invalid_requests_are_exceptions(api: Api, body: Any) -> None:
    answer = await api.execute("echo", body)
    assert answer.status_code in (400, 500) and answer["Content-Type"] == "application/json" and answer.json()["type"]


async def test_results_that_are_not_ready(api: Api) -> None:
    job = await api.run("echo", {"inputs": {"text": TEXT, "pause": 5}})
    answer = await api.get(f"/jobs/{job['jobID']}/results")
    assert (answer.status_code, answer.json()["type"]) == (
        404,
        "http://www.opengis.net/def/exceptions/ogcapi-processes-1/1.0/result-not-ready",
    )
    await api.delete(f"/jobs/{job['jobID']}")


async def test_results_behind_the_first_link_that_a_job_has(api: Api) -> None:
    job = await ended(api, (await api.run("echo", {"inputs": {"text": TEXT}, "response": "document"}))["jobID"])
    assert (await api.json(links(job)[f"{OGC}results"]["href"])) == {"text": TEXT}


async def test_the_list_of_jobs_is_not_empty(api: Api) -> None:
    await api.run("echo", {"inputs": {"text": TEXT}})
    document = await api.json("/jobs")
    assert document["jobs"] and document["jobs"][0]["links"]
    job = (await Job.objects.aget()).id
    for query in (
        "limit=1",
        "type=process",
        "processID=echo",
        "status=accepted,running,successful",
        "minDuration=0",
        "datetime=2000-01-01T00:00:00Z/..",
    ):
        assert (await api.get(f"/jobs?{query}")).status_code == 200
    assert links(document["jobs"][0])["self"]["href"] == f"{SITE}/jobs/{job}"


async def test_dismissing(api: Api) -> None:
    job = await api.run("echo", {"inputs": {"text": TEXT, "pause": 30}})
    answer = await api.delete(f"/jobs/{job['jobID']}")
    assert (answer.status_code, answer.json()["status"]) == (200, "dismissed")
