"""The landing page and the conformance classes."""

from __future__ import annotations

from django.http import HttpRequest
from django.urls import NoReverseMatch, reverse

from processes.descriptions.media_types import JSON
from streaming.engine.conf import conf

from .negotiation import HTML
from .renderers import formats
from .rendering import Page
from .site import OGC_RELATION, Link, link, link_header
from .view import OgcView

OPENAPI_TYPE = "application/vnd.oai.openapi+json;version=3.0"
ASYNCAPI_TYPE = "application/vnd.aai.asyncapi+json;version=3.0.0"
PROCESSES = "http://www.opengis.net/spec/ogcapi-processes-1/1.0/conf/"
COMMON = "http://www.opengis.net/spec/ogcapi-common-1/1.0/conf/"
DESCRIPTION = "Geoprocesses that workers offer, as OGC API - Processes: read what there is, execute it, and follow its jobs."


def conformance_classes() -> list[str]:
    """The classes of the standard that are met; `html` where there are pages for people."""
    html = ["html"] if "html" in formats() else []
    return [
        *(PROCESSES + name for name in ("core", "ogc-process-description", "json", *html, "oas30", "job-list", "callback", "dismiss")),
        *(COMMON + name for name in ("core", "landing-page", "json", *html, "oas30")),
    ]


class LandingView(OgcView):
    """Where clients begin."""

    async def get(self, request: HttpRequest) -> Page:
        """What there is."""
        site = self.site
        links = [
            *self.self_links(request, "This document"),
            link(site.api, "service-desc", OPENAPI_TYPE, "The API definition"),
            *([link(f"{site.api}?f=html", "service-doc", HTML, "The API's documentation")] if "html" in formats() else []),
            *(link(site.conformance, rel, JSON, "The conformance classes") for rel in (OGC_RELATION + "conformance", "conformance")),
            *(link(site.processes, rel, JSON, "The processes") for rel in (OGC_RELATION + "processes", "processes")),
            *_websocket_links(request),
            link(site.jobs, OGC_RELATION + "job-list", JSON, "The jobs"),
        ]
        document = {"title": conf.PROCESS_TITLE, "description": DESCRIPTION, "links": links}
        return Page("landing", document, headers={"Link": link_header(links[1:])})


def _websocket_links(request: HttpRequest) -> list[Link]:
    """The messages of all WebSockets of the site, if it has their document. Clients of OGC APIs take any `service-desc` for OpenAPI."""
    try:
        document, page = reverse("streaming:asyncapi"), reverse("streaming:asyncapi-page")
    except NoReverseMatch:
        return []
    links = [link(request.build_absolute_uri(document), "related", ASYNCAPI_TYPE, "The messages of the WebSockets (AsyncAPI)")]
    pages = [link(request.build_absolute_uri(page), "related", HTML, "The messages of the WebSockets")] if "html" in formats() else []
    return links + pages


class ConformanceView(OgcView):
    """The conformance classes."""

    async def get(self, request: HttpRequest) -> Page:
        """Their URIs."""
        links = self.self_links(request, "This document")
        return Page("conformance", {"conformsTo": conformance_classes(), "links": links}, headers={"Link": link_header(links)})
