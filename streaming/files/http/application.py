"""The application: finds out who asks, has the action answer, and renders refusals."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from streaming.core.errors import StreamError
from streaming.engine.conf import conf
from streaming.engine.lifespan import get_runtime
from streaming.engine.responses import CHALLENGE, RETRY_AFTER

from ..changes import Outdated
from ..folder import Folder
from ..operations import wire_code
from ..service import FilesService
from .cors import allow_origin, preflight
from .request import Answer, ClientGone, Request, Send

logger = logging.getLogger(__name__)

Action = Callable[[Request, Folder, FilesService], Awaitable[Answer]]
BEFORE_LENGTH = 16 * 1024
"""Of a body that was refused so much is read, so that the client reads the answer."""
_JSON = "application/json"


class FilesApplication:
    """One action of the API of files: what answers it, by method. `headers` are those of every answer."""

    def __init__(self, name: str, methods: Mapping[str, Action], headers: Mapping[str, str] | None = None) -> None:
        self.name = name
        self._methods = methods
        self._headers = headers or {}

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Send, **arguments: str) -> None:
        """Answer one request."""
        began = time.perf_counter()
        request = Request(scope, receive)
        request.parameters.update(arguments)
        try:
            service = (await get_runtime()).service(FilesService)
        except StreamError as error:
            await _send(request, refused(error), send)
            return
        try:
            answer = await self._answer(request, service)
            try:
                answer.headers = {**self._headers, **answer.headers}
                allow_origin(request, answer)
                await _send(request, answer, send)
            finally:
                if answer.close is not None:
                    answer.close()
        except (ClientGone, OSError):
            logger.debug("a client left during %s", self.name)
            service.requests[self.name, "gone"] += 1
        else:
            service.requests[self.name, str(answer.status)] += 1
        finally:
            service.counts["received"] += request.received
            service.request_seconds[self.name] += time.perf_counter() - began

    async def _answer(self, request: Request, service: FilesService) -> Answer:
        try:
            if request.method == "OPTIONS" and "access-control-request-method" in request.headers:
                return preflight(self._methods)
            action = self._methods.get(request.method)
            if action is None:
                return Answer(405, _error("method_not_allowed", "not with this method"), headers={"Allow": ", ".join(self._methods)})
            await service.access.admit(request)
            return await action(request, await service.folder(), service)
        except Outdated as error:
            return refused(error, service, shown=request.rights.allows("list", error.path))
        except StreamError as error:
            return refused(error, service)
        except (ClientGone, asyncio.CancelledError):
            raise
        except Exception:
            logger.exception("%s of a file failed", self.name)
            return refused(StreamError("internal", "something went wrong in the server; it is in the log"), service)


def refused(error: StreamError, service: FilesService | None = None, status: int | None = None, shown: bool = False) -> Answer:
    """The answer that refuses a request. Where a condition did not hold, it says what is there, if that may be `shown`."""
    if service is not None:
        service.counts["conflicts"] += isinstance(error, Outdated)
        service.counts["hash_failures"] += error.code == "hash_mismatch"
    body = _error(wire_code(error), error.message)
    headers = {"Retry-After": RETRY_AFTER.get(error.code, "1")} if error.kind.retry else {}
    code = status or error.kind.status
    if isinstance(error, Outdated):
        code = 412
    if isinstance(error, Outdated) and shown:
        body["current"] = None if error.current is None else error.current.metadata(error.path)
    if code == 401:
        headers["WWW-Authenticate"] = CHALLENGE
    return Answer(code, body, headers=headers)


def _error(code: str, message: str) -> dict[str, Any]:
    return {"error": {"code": code, "message": message}}


async def _send(request: Request, answer: Answer, send: Send) -> None:
    headers = {"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store", **answer.headers}
    body = b"" if answer.pieces is not None else answer.content()
    if answer.pieces is None and answer.status not in (204, 304):
        headers.setdefault("Content-Length", str(len(body)))
    if answer.json is not None:
        headers["Content-Type"] = _JSON
    if not request.complete and not await _drained(request):
        headers["Connection"] = "close"  # the rest of the body is not read
    raw = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
    await _within(send({"type": "http.response.start", "status": answer.status, "headers": raw}))
    if request.method == "HEAD":
        body, answer.pieces = b"", None
    if answer.pieces is not None:
        gone = asyncio.ensure_future(request.gone())  # servers take what is sent to a client that has left
        try:
            async for piece in answer.pieces:
                if gone.done():
                    raise ClientGone
                await _within(send({"type": "http.response.body", "body": piece, "more_body": True}))
        finally:
            gone.cancel()
    await _within(send({"type": "http.response.body", "body": body}))


async def _drained(request: Request) -> bool:
    """Read the little that may be left of a body; returns whether that was all."""
    if not request.headers.get("content-length", "0").strip("0") and "transfer-encoding" not in request.headers:
        return True
    try:
        if (request.length or BEFORE_LENGTH + 1) > BEFORE_LENGTH:
            return False
        async for _ in request.chunks(BEFORE_LENGTH):
            pass
    except StreamError:
        return False
    return True


async def _within(sending: Awaitable[None]) -> None:
    """A client that takes nothing for too long is gone."""
    try:
        async with asyncio.timeout(conf.STALLED_SECONDS):
            await sending
    except TimeoutError:
        raise ClientGone from None
