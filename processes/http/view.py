"""The base class of all views here: who asks, in which format, refusals as exceptions, and the headers that every answer has."""

from __future__ import annotations

import logging
from typing import Any, ClassVar

import msgspec
from django.core.exceptions import RequestAborted, RequestDataTooBig, SuspiciousOperation
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.utils.cache import patch_vary_headers
from django.views import View

from processes.descriptions.media_types import JSON
from processes.jobs.service import Jobs
from streaming.core.errors import StreamError
from streaming.engine.auth import ANONYMOUS, Principal
from streaming.engine.cors import PREFLIGHT, allow_origin, is_preflight
from streaming.engine.http_bans import refuse_banned
from streaming.engine.lifespan import get_runtime
from streaming.engine.runtime import Runtime

from .exceptions import OgcError, invalid_query, of_stream_error
from .identity import principal_of
from .negotiation import HTML, PROBLEM, accept_of, choose, names
from .renderers import RENDERERS, formats
from .rendering import JsonRenderer, Page, Renderer
from .request_body import too_large
from .site import Link, Site, link

logger = logging.getLogger(__name__)

VARY = ("Accept", "Prefer", "Authorization", "Cookie")


class OgcView(View):
    """A view whose handlers are coroutines that return a `Page`, or a response that is no document."""

    media_type: ClassVar[str] = JSON
    """What its JSON is called."""
    negotiates: ClassVar[bool] = True
    """Whether it answers in the formats of `RENDERERS` only, and refuses clients that take none of them."""
    skips_middleware: ClassVar[tuple[str, ...]] = ()
    """The methods that go past the project's middleware when they come with a token: sessions and the like are of no use then."""
    parameters: ClassVar[tuple[str, ...]] = ()
    """The names that its query may have, besides `f`; any other is refused, as OGC API - Common wants it."""
    largest_body: ClassVar[str] = "PROCESS_BODY_BYTES"
    """The setting with the size of a body; it is bounded while it arrives, whoever sends it."""
    runtime: Runtime
    principal: Principal
    site: Site
    renderer: Renderer

    @property
    def jobs(self) -> Jobs:
        """The jobs."""
        return self.runtime.service(Jobs)

    @classmethod
    def as_view(cls, **initkwargs: Any) -> Any:
        """Django's; what has a session is checked by `identity`, which knows the exceptions of this API."""
        view = super().as_view(**initkwargs)
        view.csrf_exempt = True  # type: ignore[attr-defined]
        return view

    @staticmethod
    def refuse_body(limit: int) -> HttpResponse:
        """The answer to a body that is too large, before Django has seen the request."""
        error = too_large(limit)
        return HttpResponse(msgspec.json.encode(error.document), status=error.status, content_type=JSON)

    def setup(self, request: HttpRequest, *args: Any, **kwargs: Any) -> None:
        """Django's, and HEAD for whatever has GET."""
        super().setup(request, *args, **kwargs)
        self.principal = ANONYMOUS
        self.renderer = JsonRenderer()

    async def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:  # type: ignore[override]
        """Answer a request, whatever happens."""
        try:
            self.site = Site.of(request)
            answer = await self._answer(request, *args, **kwargs)
            response = answer if isinstance(answer, HttpResponseBase) else await self._render(request, answer)
        except OgcError as error:
            response = await self._refuse(request, error)
        except StreamError as error:
            response = await self._refuse(request, of_stream_error(error))
        except RequestAborted:
            return HttpResponse(status=499)  # nobody reads it
        except RequestDataTooBig:
            response = await self._refuse(request, OgcError(413, "the request is too large"))
        except SuspiciousOperation:  # Django answers: the request's host is not ours, so there are no addresses
            raise
        except Exception:
            logger.exception("a request failed: %s", request.path)
            response = await self._refuse(request, OgcError(500, "something went wrong in the server; it is in the log"))
        patch_vary_headers(response, VARY)
        allow_origin(request, response)
        return response

    async def _answer(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Page | HttpResponseBase:
        method = (request.method or "").lower()
        if method == "options":
            return self._options(request)
        handler = getattr(self, method, None) if method in self.http_method_names else None
        if handler is None:
            raise OgcError(405, f"{request.method} is not for this path", headers={"Allow": ", ".join(self.allowed())})
        if unknown := request.GET.keys() - {"f", *self.parameters}:
            raise invalid_query(
                min(unknown)[:100], f"there is no such parameter here; those that there are: {', '.join(('f', *self.parameters))}"
            )
        self.renderer = self._choose_renderer(request)
        self.runtime = await get_runtime()
        self.principal = await principal_of(request, self.jobs)
        refuse_banned(request.META.get("REMOTE_ADDR", ""), self.principal.user_id)
        answer: Page | HttpResponseBase = await handler(request, *args, **kwargs)
        return answer

    def allowed(self) -> list[str]:
        """The methods that there are here."""
        return [name.upper() for name in self.http_method_names if name == "options" or hasattr(self, name)]

    def _options(self, request: HttpRequest) -> HttpResponse:
        methods = ", ".join(self.allowed())
        headers = {"Access-Control-Allow-Methods": methods, **PREFLIGHT} if is_preflight(request) else {}
        return HttpResponse(status=204, headers={"Allow": methods, **headers})

    # -- formats ----------------------------------------------------------------

    def _choose_renderer(self, request: HttpRequest) -> Renderer:
        asked = request.GET.get("f")
        if asked is not None:
            found = next((each for each in RENDERERS if each.name == asked), None)
            if found is None:
                raise invalid_query("f", f"it is one of {', '.join(formats())}")
            return found
        accept = accept_of(request)
        types = {self._type_of(each): each for each in RENDERERS}
        chosen = choose(accept, [*types, JSON]) or (JSON if names(accept, PROBLEM) else None)
        if chosen is None:
            if not self.negotiates:
                return JsonRenderer()
            raise OgcError(406, f"this is to be had as {', '.join(types)}")
        return types.get(chosen) or JsonRenderer()

    def _type_of(self, renderer: Renderer) -> str:
        return self.media_type if renderer.media_type == JSON else renderer.media_type

    async def _render(self, request: HttpRequest, page: Page) -> HttpResponse:
        response = await self.renderer.render(request, self.site, page)
        for name, value in page.headers.items():
            response[name] = value
        return response

    async def _refuse(self, request: HttpRequest, error: OgcError) -> HttpResponse:
        accept = accept_of(request)
        self.renderer = next(
            (each for each in RENDERERS if each.media_type == HTML and choose(accept, [JSON, HTML]) == HTML), JsonRenderer()
        )
        if request.GET.get("f") in formats():
            self.renderer = next(each for each in RENDERERS if each.name == request.GET.get("f"))
        media_type = PROBLEM if names(accept, PROBLEM) else JSON
        site = getattr(self, "site", None)
        instance = {} if site is None or "instance" in error.document else {"instance": site.here(request)}
        page = Page("exception", {**error.document, **instance}, error.status, dict(error.headers), media_type=media_type)
        try:
            return await self._render(request, page)
        except Exception:
            logger.exception("a page of an exception could not be made: %s", request.path)
            self.renderer = JsonRenderer()
            return await self._render(request, page)

    # -- links ------------------------------------------------------------------

    def self_links(self, request: HttpRequest, title: str) -> list[Link]:
        """To the document itself, and to it in the other formats."""
        links = []
        for each in RENDERERS:
            is_this = each is self.renderer or each.name == self.renderer.name
            href = self.site.here(request) if is_this else self.site.here(request, f=each.name)
            links.append(link(href, "self" if is_this else "alternate", self._type_of(each), title))
        return sorted(links, key=lambda each: each["rel"] != "self")


class NotFoundView(OgcView):
    """What is nowhere else."""

    async def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:  # type: ignore[override]
        """404, whatever the method."""
        if request.method == "OPTIONS":
            return await super().dispatch(request, *args, **kwargs)
        self.site = Site.of(request)
        response = await self._refuse(
            request, OgcError(404, f"there is nothing at {request.path[:200]}; {self.site.base} shows what there is")
        )
        patch_vary_headers(response, VARY)
        allow_origin(request, response)
        return response

    async def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Page:
        """Never called: it makes the view asynchronous."""
        raise NotImplementedError
