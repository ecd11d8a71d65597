"""How a document becomes a response: one renderer for each format. JSON is always there.

A renderer of another format is given the same pages, with the context that only people need; `renderers.py` lists them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol

import msgspec
from django.http import HttpRequest, HttpResponse

from processes.descriptions.media_types import JSON

from .site import Link, Site


@dataclass(slots=True)
class Page:
    """A document that is to be rendered. `name` says which kind it is: landing, conformance, api, processes, process, jobs, job, results
    or exception.
    """

    name: str
    document: Any
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    media_type: str = JSON
    """What its JSON is."""
    context: Mapping[str, Any] = field(default_factory=dict)
    """What a renderer for people needs besides: it depends on the kind."""

    @property
    def links(self) -> list[Link]:
        """Its links."""
        found = self.document.get("links", []) if isinstance(self.document, dict) else []
        return list(found)


class Renderer(Protocol):
    """One format."""

    name: ClassVar[str]
    """As in `f=`."""
    media_type: ClassVar[str]

    async def render(self, request: HttpRequest, site: Site, page: Page) -> HttpResponse:
        """The response, with the page's status; its headers are added by the caller."""


class JsonRenderer:
    """For programs."""

    name: ClassVar[str] = "json"
    media_type: ClassVar[str] = JSON

    async def render(self, request: HttpRequest, site: Site, page: Page) -> HttpResponse:
        """The document itself."""
        return HttpResponse(msgspec.json.encode(page.document), status=page.status, content_type=page.media_type)
