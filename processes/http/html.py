"""HTML: the same documents as pages for people, each with all that its JSON has, and with its links as such."""

from __future__ import annotations

import json
from typing import Any, ClassVar
from uuid import UUID

from asgiref.sync import sync_to_async
from django.apps import apps
from django.http import HttpRequest, HttpResponse
from django.middleware.csrf import get_token
from django.shortcuts import render
from django.templatetags.static import static
from django.urls import NoReverseMatch, reverse
from django.utils.http import urlencode
from django.utils.translation import gettext_lazy as _

from processes.models import Job
from streaming.engine.conf import conf

from .published import on_map, published
from .rendering import Page
from .site import Site

COUNTRIES = "streaming/demo/countries-110m.geojson"
TITLES = {
    "landing": _("Processes"),
    "conformance": _("Conformance"),
    "api": _("API"),
    "processes": _("Processes"),
    "process": _("Process"),
    "jobs": _("Jobs"),
    "job": _("Job"),
    "results": _("Results"),
    "exception": _("Error"),
}
_METHODS = ("get", "post", "put", "delete")
_TIMES = {"created": _("created"), "started": _("started"), "finished": _("finished"), "updated": _("updated")}


class HtmlRenderer:
    """For people."""

    name: ClassVar[str] = "html"
    media_type: ClassVar[str] = "text/html"

    async def render(self, request: HttpRequest, site: Site, page: Page) -> HttpResponse:
        """The page of a document. In a thread, for its template may ask who the user is."""
        return await sync_to_async(self._render)(request, site, page)

    def _render(self, request: HttpRequest, site: Site, page: Page) -> HttpResponse:
        context = {
            "page": page.name,
            "title": _title(page),
            "service_title": conf.PROCESS_TITLE,
            "document": page.document,
            "links": page.links,
            "source": json.dumps(page.document, indent=2, ensure_ascii=False),
            "urls": {
                "landing": f"{site.base}/",
                "processes": site.processes,
                "jobs": site.jobs,
                "api": site.api,
                "conformance": site.conformance,
            },
            "json_url": site.here(request, f="json"),
            "map_url": _reverse("streaming:map"),
            "login_url": _login_url(request),
            "leaflet": "leaflet" if apps.is_installed("leaflet") else "streaming/vendor/leaflet",
            **_MORE.get(page.name, _nothing)(request, site, page),
        }
        response = render(request, f"processes/{page.name}.html", context, status=page.status)
        response["Cache-Control"] = "no-store" if page.name in ("job", "jobs", "results") else "no-cache"
        return response


def _title(page: Page) -> str:
    document = page.document if isinstance(page.document, dict) else {}
    return str(document.get("title") or document.get("id") or TITLES[page.name])


def _nothing(request: HttpRequest, site: Site, page: Page) -> dict[str, Any]:
    return {}


def _processes(request: HttpRequest, site: Site, page: Page) -> dict[str, Any]:
    return {"offline": [offer.identifier for offer in page.context.get("offers", ()) if not offer.online]}


def _process(request: HttpRequest, site: Site, page: Page) -> dict[str, Any]:
    document = page.document
    offer = page.context.get("offer")
    return {
        "offline": [document["id"]] if offer is not None and not offer.online else [],
        "workers": offer.online if offer is not None else 0,
        "schemas": {
            side: {name: json.dumps(each.get("schema", {}), indent=2, ensure_ascii=False) for name, each in document.get(side, {}).items()}
            for side in ("inputs", "outputs")
        },
        "config": {
            "process": document,
            "execute_url": site.execution(document["id"]),
            "jobs_url": site.jobs,
            "csrf": get_token(request),
            "login_url": _login_url(request),
            "countries_url": static(COUNTRIES),
            "map_url": on_map(""),
        },
    }


def _jobs(request: HttpRequest, site: Site, page: Page) -> dict[str, Any]:
    return {"statuses": Job.Status.values, "query": {name: request.GET.get(name, "") for name in ("processID", "status")}}


def _job(request: HttpRequest, site: Site, page: Page) -> dict[str, Any]:
    job = page.document
    address = site.job(job["jobID"])
    place = published(UUID(job["jobID"]), request.user)
    return {
        "published": place,
        "times": [(title, job[name]) for name, title in _TIMES.items() if name in job],
        "config": {
            "job": job,
            "urls": {"job": address, "events": f"{address}/events", "results": site.results(job["jobID"]), "countries": static(COUNTRIES)},
            "csrf": get_token(request),
            "published": place,
        },
    }


def _results(request: HttpRequest, site: Site, page: Page) -> dict[str, Any]:
    job = page.context["job"].id
    return {
        "job_id": str(job),
        "published": published(job, request.user),
        "config": {"job_url": site.job(job), "results_url": f"{site.results(job)}?f=json", "countries_url": static(COUNTRIES)},
    }


def _api(request: HttpRequest, site: Site, page: Page) -> dict[str, Any]:
    paths = page.document.get("paths", {})
    return {"paths": [(path, [_operation(name, item[name]) for name in _METHODS if name in item]) for path, item in paths.items()]}


def _operation(method: str, operation: dict[str, Any]) -> dict[str, Any]:
    return {
        "method": method.upper(),
        "summary": operation.get("summary") or operation.get("operationId", ""),
        "description": operation.get("description", ""),
        "parameters": [each.get("name") or each["$ref"].rpartition("/")[2] for each in operation.get("parameters", ())],
        "statuses": list(operation.get("responses", ())),
    }


_MORE = {"processes": _processes, "process": _process, "jobs": _jobs, "job": _job, "results": _results, "api": _api}


def _reverse(name: str) -> str | None:
    try:
        return reverse(name)
    except NoReverseMatch:
        return None


def _login_url(request: HttpRequest) -> str | None:
    if request.user.is_authenticated:
        return None
    login = _reverse("streaming:login")
    return f"{login}?{urlencode({'next': request.get_full_path()})}" if login else None
