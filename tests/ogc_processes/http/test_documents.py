"""The documents that say what there is: landing page, conformance, processes, and what every answer has."""

from __future__ import annotations

from typing import Any

import pytest

from streaming.engine.runtime import Runtime
from tests.ogc_processes.descriptions.examples import ECHO
from tests.ogc_processes.played_worker import PlayedWorker

from .conftest import SITE, Api, describe

OGC = "http://www.opengis.net/def/rel/ogc/1.0/"
EVERYWHERE = ["", "/conformance", "/api", "/processes", "/processes/echo", "/jobs"]


def links(document: Any) -> dict[str, Any]:
    return {each["rel"]: each for each in document["links"]}


@pytest.mark.parametrize("path", ["", "/"])
async def test_the_landing_page_has_its_links_with_and_without_a_slash(api: Api, path: str) -> None:
    found = links(await api.json(path))
    assert {rel: each["href"] for rel, each in found.items()} == {
        "self": SITE + path,
        "alternate": f"{SITE}{path}?f=html",
        "service-desc": f"{SITE}/api",
        "service-doc": f"{SITE}/api?f=html",
        "conformance": f"{SITE}/conformance",
        f"{OGC}conformance": f"{SITE}/conformance",
        "processes": f"{SITE}/processes",
        f"{OGC}processes": f"{SITE}/processes",
        f"{OGC}job-list": f"{SITE}/jobs",
    }
    assert found["service-desc"]["type"] == "application/vnd.oai.openapi+json;version=3.0"
    assert all(each.keys() == {"href", "rel", "type", "title"} for each in found.values())


async def test_important_links_are_headers_too(api: Api) -> None:
    assert f'<{SITE}/api>; rel="service-desc"' in (await api.get())["Link"]


async def test_the_conformance_classes(api: Api) -> None:
    classes = (await api.json("/conformance"))["conformsTo"]
    prefix = "http://www.opengis.net/spec/ogcapi-processes-1/1.0/conf/"
    assert {each.removeprefix(prefix) for each in classes if each.startswith(prefix)} >= {
        *("core", "ogc-process-description", "json", "oas30", "job-list", "callback", "dismiss")
    }


async def test_processes_are_listed_with_a_link_to_each(api: Api, echoing: PlayedWorker) -> None:
    (process,) = (await api.json("/processes"))["processes"]
    assert (process["id"], process["version"], process["title"]) == ("echo", "1.0.0", "Echo")
    assert process["jobControlOptions"] == ["sync-execute", "async-execute", "dismiss"]
    assert links(process)["self"]["href"] == f"{SITE}/processes/echo"


async def test_the_list_of_processes_has_pages(api: Api, runtime: Runtime) -> None:
    for name in "cab":
        await describe(runtime, name)
    first = await api.json("/processes?limit=2")
    assert [each["id"] for each in first["processes"]] == ["a", "b"] and "prev" not in links(first)
    second = await api.json(links(first)["next"]["href"])
    assert [each["id"] for each in second["processes"]] == ["c"] and "next" not in links(second)
    assert [each["id"] for each in (await api.json(links(second)["prev"]["href"]))["processes"]] == ["a", "b"]
    assert len((await api.json("/processes?limit=1"))["processes"]) == 1


@pytest.mark.parametrize("query", ["limit=0", "limit=-1", "limit=a", "limit=", "offset=x", "limit=1.5"])
@pytest.mark.parametrize("path", ["/processes", "/jobs"])
async def test_a_bad_page_is_refused(api: Api, path: str, query: str) -> None:
    if path == "/jobs" and query.startswith("offset"):
        return
    answer = await api.get(f"{path}?{query}")
    assert (answer.status_code, answer.json()["type"].rpartition("/")[2]) == (400, "invalid-query-parameter-value")


async def test_a_limit_above_the_most_is_the_most(api: Api, settings: Any, runtime: Runtime) -> None:
    settings.GEOSTREAM_PROCESS_LIST_MOST = 2
    for name in "abc":
        await describe(runtime, name)
    assert len((await api.json("/processes?limit=99999999"))["processes"]) == 2


async def test_a_process_is_described_as_the_standard_has_it(api: Api, echoing: PlayedWorker) -> None:
    document = await api.json("/processes/echo")
    assert list(document["inputs"]) == list(ECHO["inputs"])
    assert document["inputs"]["text"] == {"minOccurs": 1, "maxOccurs": 1, "schema": {"type": "string"}}
    assert document["inputs"]["area"]["schema"]["allOf"][0] == {"format": "ogc-bbox"}
    assert links(document)[f"{OGC}execute"]["href"] == f"{SITE}/processes/echo/execution"
    assert links(document)[f"{OGC}job-list"]["href"] == f"{SITE}/jobs?processID=echo"


async def test_how_many_workers_offer_a_process_is_in_its_description(api: Api, runtime: Runtime, echoing: PlayedWorker) -> None:
    await describe(runtime, "lonely")
    found = {each["id"]: each["additionalParameters"]["parameters"] for each in (await api.json("/processes"))["processes"]}
    assert found == {"echo": [{"name": "workers", "value": ["1"]}], "lonely": [{"name": "workers", "value": ["0"]}]}


@pytest.mark.parametrize("path", ["/processes/nothing", "/processes/nothing/execution"])
async def test_an_unknown_process_is_named_so(api: Api, path: str) -> None:
    answer = await api.request("POST" if "execution" in path else "GET", path, {} if "execution" in path else None)
    assert (answer.status_code, answer.json()["type"]) == (
        404,
        "http://www.opengis.net/def/exceptions/ogcapi-processes-1/1.0/no-such-process",
    )


# -- what every answer has --------------------------------------------------------


@pytest.mark.parametrize("path", EVERYWHERE)
async def test_head_and_options_are_everywhere(api: Api, echoing: PlayedWorker, path: str) -> None:
    head = await api.request("HEAD", path)
    assert head.status_code == 200 and head["Content-Type"] == (await api.get(path))["Content-Type"]
    options = await api.request("OPTIONS", path)
    assert options.status_code == 204 and {"GET", "HEAD", "OPTIONS"} <= set(options["Allow"].split(", "))


@pytest.mark.parametrize("path", EVERYWHERE)
async def test_answers_vary_by_what_decides_about_them(api: Api, echoing: PlayedWorker, path: str) -> None:
    assert {"Accept", "Prefer"} <= set((await api.get(path))["Vary"].split(", "))


@pytest.mark.parametrize("path", ["/nothing", "/processes/", "/jobs/", "/conformance/", "/processes/echo/execution/", "/a/b/c"])
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
async def test_what_is_not_there_is_an_exception(api: Api, path: str, method: str) -> None:
    assert (await api.request(method, path)).status_code == 404


@pytest.mark.parametrize(
    ("method", "path"), [("POST", ""), ("DELETE", "/processes"), ("PUT", "/jobs"), ("GET", "/processes/echo/execution")]
)
async def test_a_wrong_method_is_an_exception_with_those_that_are_right(api: Api, method: str, path: str) -> None:
    answer = await api.request(method, path)
    assert answer.status_code == 405 and method not in answer["Allow"].split(", ")


@pytest.mark.parametrize(
    "accept", ["*/*", "", "application/json", "application/*;q=0.1", "text/csv, */*;q=0.5", "application/problem+json"]
)
async def test_json_is_had_by_all_who_take_it(api: Api, accept: str) -> None:
    answer = await api.get("/processes", accept=accept)
    assert (answer.status_code, answer["Content-Type"]) == (200, "application/json")


@pytest.mark.parametrize("accept", ["image/png", "application/json;q=0", "application/xml, text/csv"])
@pytest.mark.parametrize("path", EVERYWHERE[:4])
async def test_nothing_that_is_accepted_is_406(api: Api, path: str, accept: str) -> None:
    assert (await api.get(path, accept=accept)).status_code == 406


async def test_f_overrides_accept(api: Api) -> None:
    assert (await api.get("/processes?f=json", accept="image/png")).status_code == 200
    assert (await api.get("/processes?f=xml")).json()["type"].endswith("invalid-query-parameter-value")


async def test_exceptions_are_problem_json_for_those_who_name_it(api: Api) -> None:
    assert (await api.get("/processes/x", accept="application/problem+json"))["Content-Type"] == "application/problem+json"
    assert (await api.get("/processes/x", accept="*/*"))["Content-Type"] == "application/json"


async def test_links_are_what_clients_see(api: Api, settings: Any) -> None:
    settings.GEOSTREAM_PROCESS_URL = "https://maps.example.org/geo/ogc/"
    found = links(await api.json("/processes?limit=3"))
    assert found["self"]["href"] == "https://maps.example.org/geo/ogc/processes?limit=3"


async def test_pages_of_other_sites_read_what_the_setting_allows(api: Api, settings: Any) -> None:
    assert "Access-Control-Allow-Origin" not in await api.get(origin="https://maps.example.org")
    settings.GEOSTREAM_ALLOWED_ORIGINS = "https://maps.example.org"
    answer = await api.get(origin="https://maps.example.org")
    assert answer["Access-Control-Allow-Origin"] == "https://maps.example.org"
    assert {"Location", "Link", "Preference-Applied", "Content-Disposition", "Retry-After"} <= set(
        answer["Access-Control-Expose-Headers"].split(", ")
    )
    preflight = await api.request(
        "OPTIONS", "/processes/echo/execution", origin="https://maps.example.org", access_control_request_method="POST"
    )
    assert preflight.status_code == 204 and "POST" in preflight["Access-Control-Allow-Methods"]
    assert {"prefer", "content-type", "authorization"} <= set(preflight["Access-Control-Allow-Headers"].split(", "))


async def test_a_bad_token_is_401_with_a_challenge(api: Api) -> None:
    answer = await api.get("/jobs", authorization="Bearer nonsense")
    assert (answer.status_code, answer["WWW-Authenticate"]) == (401, 'Bearer realm="api"')
    assert (await api.get("/jobs", authorization="Basic YTpi")).status_code == 401


@pytest.mark.parametrize("path", ["", "/conformance", "/processes", "/jobs"])
async def test_a_parameter_that_there_is_not_is_refused_with_those_that_there_are(api: Api, path: str) -> None:
    refusal = (await api.get(f"{path}?f=json&limt=1")).json()
    assert (refusal["status"], refusal["errors"][0]["parameter"]) == (400, "limt") and "f" in refusal["detail"]
