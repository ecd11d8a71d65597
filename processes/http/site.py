"""The addresses of the API, all absolute: from the setting PROCESS_URL or, without one, from the request."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from django.http import HttpRequest
from django.urls import reverse

from processes.models import Job
from streaming.engine.conf import conf

Link = dict[str, str]

OGC_RELATION = "http://www.opengis.net/def/rel/ogc/1.0/"


@dataclass(frozen=True, slots=True)
class Site:
    """Where everything is, as the client sees it. `base` is the landing page, without a slash at the end."""

    base: str

    @classmethod
    def of(cls, request: HttpRequest) -> Site:
        """The site as a request has found it."""
        return cls(conf.PROCESS_URL.rstrip("/") or request.build_absolute_uri(_root()))

    @classmethod
    def here_without_request(cls) -> Site:
        """The site for what is not asked for over HTTP: its addresses begin with the path, unless PROCESS_URL is set."""
        return cls(conf.PROCESS_URL.rstrip("/") or _root())

    @classmethod
    def of_page(cls) -> Site:
        """The site for pages of this one, whose sessions are good for no other address: its addresses begin with the path."""
        return cls(_root())

    @classmethod
    def of_job(cls, job: Job) -> Site:
        """The site as the client saw it that submitted a job with a subscriber."""
        return cls(str(conf.PROCESS_URL.rstrip("/") or (job.subscriber or {}).get("base", "")))

    def here(self, request: HttpRequest, **changed: str | None) -> str:
        """The address of a request, with other values in its query; None takes one out."""
        query = request.GET.copy()
        for name, value in changed.items():
            if value is None:
                query.pop(name, None)
            else:
                query[name] = value
        path = request.path.removeprefix(_root())
        return self.base + quote(path, safe="/~:@!$&'()*+,;=") + (f"?{query.urlencode(safe=':/')}" if query else "")

    @property
    def conformance(self) -> str:
        """The conformance classes."""
        return f"{self.base}/conformance"

    @property
    def api(self) -> str:
        """The API definition."""
        return f"{self.base}/api"

    @property
    def processes(self) -> str:
        """The list of processes."""
        return f"{self.base}/processes"

    @property
    def jobs(self) -> str:
        """The list of jobs."""
        return f"{self.base}/jobs"

    def process(self, identifier: str) -> str:
        """A process."""
        return f"{self.processes}/{quote(identifier, safe=':')}"

    def execution(self, identifier: str) -> str:
        """Where a process is executed."""
        return f"{self.process(identifier)}/execution"

    def job(self, identifier: Any) -> str:
        """A job."""
        return f"{self.jobs}/{identifier}"

    def results(self, identifier: Any) -> str:
        """The results of a job."""
        return f"{self.job(identifier)}/results"

    def output(self, identifier: Any, output: str) -> str:
        """One output of a job."""
        return f"{self.results(identifier)}/{quote(output, safe=':')}"

    def events(self, identifier: Any) -> str:
        """The changes of a job, as server-sent events."""
        return f"{self.job(identifier)}/events"


def link(href: str, rel: str, type: str = "", title: str = "", **more: str) -> Link:
    """A link as the standard has it."""
    return {name: value for name, value in {"href": href, "rel": rel, "type": type, "title": title, **more}.items() if value}


def link_header(links: list[Link]) -> str:
    """Links as in RFC 8288."""
    return ", ".join(
        f"<{uri(each['href'])}>" + "".join(_parameter(name, each[name]) for name in ("rel", "type", "title") if name in each)
        for each in links
    )


def uri(text: str) -> str:
    """A URI with nothing in it that would end it where a header or a line has it."""
    return quote(text, safe="%/:?#[]@!$&'()*+,;=~")


def _parameter(name: str, value: str) -> str:
    """Texts that are not all of ASCII as in RFC 8187."""
    if value.isascii() and value.isprintable():
        escaped = value.replace("\\", r"\\").replace('"', r"\"")
        return f'; {name}="{escaped}"'
    return f"; {name}*=UTF-8''{quote(value, safe='')}"


def _root() -> str:
    return reverse("streaming:ogc-landing").rstrip("/")
