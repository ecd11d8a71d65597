"""`?trace`: a request that publishes is answered with where the time went, too. For staff.

The answer has a member `trace` besides its own; where there is none (204), it is the whole answer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from inspect import iscoroutinefunction
from time import time
from typing import Any

import msgspec
from django.http import HttpResponse
from rest_framework.request import Request

from streaming.core.errors import StreamError
from streaming.core.publish_trace import PublishTrace, publishing
from streaming.engine.lifespan import running
from streaming.engine.responses import answer
from streaming.engine.spans import record, tracer
from streaming.engine.tracing import Tracing, milliseconds

Handler = Callable[..., Any]


def traced(feed: str) -> Callable[[Handler], Handler]:
    """For the handler of a request that publishes to a feed; in its name `{layer}` and the like are parameters of the URL."""

    def decorate(handler: Handler) -> Handler:
        if iscoroutinefunction(handler):

            @wraps(handler)
            async def asynchronous(view: Any, request: Request, **parameters: Any) -> HttpResponse:
                wanted = _wanted(request)
                if not wanted and tracer() is None:
                    return await handler(view, request, **parameters)  # type: ignore[no-any-return]
                trace = _RequestTrace(feed.format(**parameters), request, wanted)
                await trace.begin()
                try:
                    with trace.noting():
                        trace.handled(await handler(view, request, **parameters))
                finally:
                    await trace.end()
                return trace.answer()

            return asynchronous

        @wraps(handler)
        def synchronous(view: Any, request: Request, **parameters: Any) -> HttpResponse:
            wanted = _wanted(request)
            if not wanted and tracer() is None:
                return handler(view, request, **parameters)  # type: ignore[no-any-return]
            trace = _RequestTrace(feed.format(**parameters), request, wanted)
            trace.run(trace.begin)
            try:
                with trace.noting():
                    trace.handled(handler(view, request, **parameters))
            finally:
                trace.run(trace.end)
            return trace.answer()

        return synchronous

    return decorate


def _wanted(request: Request) -> bool:
    """Whether to trace this request. `StreamError("forbidden")` if its user may not."""
    text = request.GET.get("trace", "false")
    if text not in ("", "true", "false", "1", "0"):
        raise StreamError("bad_request", f"trace must be true or false, not {text[:20]!r}")
    if text in ("false", "0"):
        return False
    if not request.user.is_staff:
        raise StreamError("forbidden", "only staff may trace a request")
    return True


class _RequestTrace:
    """One request. `begin` and `end` are for the event loop; where there is no server, only this process's part is known."""

    def __init__(self, feed: str, request: Request, wanted: bool) -> None:
        """Not `wanted`: only spans are."""
        runtime = running() if wanted else None
        self._request = request
        self._wanted = wanted
        self._tracing = None if runtime is None else runtime.service(Tracing)
        self._id = ""
        self.published = PublishTrace(feed)
        self._began = self._ended = time()
        self._response: HttpResponse | None = None
        self._processes: list[dict[str, Any]] = []
        self._silent: list[str] = []

    def run(self, step: Callable[[], Any]) -> None:
        """Do `begin` or `end` from a thread."""
        if self._tracing is not None:
            self._tracing.call(step())

    async def begin(self) -> None:
        """Have all processes get ready."""
        if self._tracing is not None:
            self._id = await self._tracing.begin(self.published.feed)

    @contextmanager
    def noting(self) -> Iterator[None]:
        """Note what is stored meanwhile."""
        self._began = time()
        token = publishing.set(self.published)
        try:
            yield
        finally:
            publishing.reset(token)

    async def end(self) -> None:
        """Find out what the processes did."""
        if self._tracing is not None:
            self._processes, self._silent = await self._tracing.end(self._id, self.published if self._response is not None else None)

    def handled(self, response: HttpResponse) -> None:
        """The request was answered."""
        self._response, self._ended = response, time()

    def answer(self) -> HttpResponse:
        """The answer with the trace."""
        response, trace, published = self._response, self._described(), self.published
        assert response is not None
        stored = (published.stored_at, published.stored_seconds)
        record(self._request.headers, published.feed, self._began, stored, self._ended, self._processes)
        if not self._wanted:
            return response
        if not response.content.startswith(b"{") or response.content == b"{}":
            return answer({"trace": trace}, 200 if response.status_code == 204 else response.status_code)
        response.content = response.content[:-1] + b',"trace":' + msgspec.json.encode(trace) + b"}"
        return response

    def _described(self) -> dict[str, Any]:
        published = self.published
        took = self._ended - self._began
        return {
            "feed": published.feed,
            "cursor": f"{published.epoch}:{published.last}" if published.last else None,
            "changes": published.last - published.first + 1 if published.last else 0,
            "checked_ms": milliseconds(took - published.stored_seconds),
            "stored_ms": milliseconds(published.stored_seconds),
            "processes": sorted(self._processes, key=lambda process: (process["host"], process["pid"])),
            "silent": self._silent,
        }
