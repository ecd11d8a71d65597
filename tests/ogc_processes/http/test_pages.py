"""The same documents as pages for people."""

from __future__ import annotations

import re
from html import unescape
from typing import Any

import pytest

from processes.models import Job, JobRequest
from streaming.features.layers import catalogue
from streaming.models import Layer

from .conftest import SITE, Api
from .test_jobs import ended

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("echoing")]
PAGES = ["", "/conformance", "/api", "/processes", "/processes/echo", "/jobs"]


async def page(api: Api, path: str, **headers: str) -> str:
    answer = await api.get(path, accept="text/html,application/xhtml+xml;q=0.9,*/*;q=0.8", **headers)
    assert answer["Content-Type"].startswith("text/html")
    return unescape(answer.content.decode())


def strings(value: Any) -> list[str]:
    """All text in a document."""
    if isinstance(value, dict):
        return [each for inner in value.values() for each in strings(inner)]
    if isinstance(value, list):
        return [each for inner in value for each in strings(inner)]
    return [value] if isinstance(value, str) else []


@pytest.mark.parametrize("path", [path for path in PAGES if path != "/api"])
async def test_a_page_has_all_that_its_json_has_and_its_links(api: Api, path: str) -> None:
    document, text = await api.json(path), await page(api, path)
    links = document.pop("links")
    for each in strings(document):
        assert each in text or each.replace('"', '\\"') in text
    anchors = re.findall(r'<a [^>]*href="([^"]+)"', text)
    assert {each["href"] for each in links if each["rel"] not in ("self", "alternate")} <= set(anchors)
    assert any("f=json" in anchor for anchor in anchors)


@pytest.mark.parametrize(("path", "title"), [("", "GeoStream processes"), ("/conformance", "Conformance – GeoStream processes")])
async def test_a_title_names_the_page_and_the_site_once(api: Api, path: str, title: str) -> None:
    assert f"<title>{title}</title>" in await page(api, path)


@pytest.mark.parametrize("path", PAGES)
async def test_programs_are_not_given_pages(api: Api, path: str) -> None:
    assert "json" in (await api.get(path, accept="*/*"))["Content-Type"]


async def test_the_format_in_the_address_counts_more_than_the_header(api: Api) -> None:
    answer = await api.get("/processes?f=html", accept="application/json")
    assert answer["Content-Type"].startswith("text/html")


async def test_a_job_has_a_page_from_which_it_can_be_followed(api: Api) -> None:
    job = await api.run(body={"inputs": {"text": "hello <b>you</b>"}})
    text = await page(api, f"/jobs/{job['jobID']}")
    assert job["jobID"] in text and f"{SITE}/jobs/{job['jobID']}/events" in text


@pytest.mark.parametrize("public", [True, False])
async def test_pages_of_a_job_lead_to_where_its_result_is_published(api: Api, public: bool) -> None:
    await Layer.objects.acreate(name="areas", public=public)
    catalogue.clear()
    job = await ended(api, (await api.run(body={"inputs": {"text": "hello"}}))["jobID"])
    await JobRequest.objects.filter(pk=job["jobID"]).aupdate(inputs={"text": [{"value": "hello"}], "publish_to": [{"value": "areas"}]})
    for path in ("", "/results"):
        text = await page(api, f"/jobs/{job['jobID']}{path}")
        assert "/?layer=areas#tiles=areas" in text
        assert ("/api/layers/areas" in text) is public


async def test_pages_of_a_job_that_publishes_nothing_lead_nowhere(api: Api) -> None:
    job = await api.run(body={"inputs": {"text": "hello"}})
    assert "?layer=" not in await page(api, f"/jobs/{job['jobID']}")


async def test_what_processes_say_is_text_and_never_markup(api: Api) -> None:
    job = await api.run(body={"inputs": {"text": "hello"}})
    row = await Job.objects.aget(pk=job["jobID"])
    await Job.objects.filter(pk=row.pk).aupdate(message="</script><script>alert(1)</script>")
    answer = await api.get(f"/jobs/{job['jobID']}", accept="text/html")
    assert b"<script>alert" not in answer.content


async def test_refusals_are_pages_too(api: Api) -> None:
    answer = await api.client.get("/ogc/processes/nothing", headers={"accept": "text/html"})
    assert answer.status_code == 404 and answer["Content-Type"].startswith("text/html")
    assert "No such process" in answer.content.decode()
