"""The forms in which results are delivered: the same for a client that has waited and for one that comes later.

raw: one output as it is, several as multipart/related (RFC 2387), links as headers without a body. document: JSON with all of them.
"""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Sequence
from typing import Any

import msgspec
from django.http import HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse

from processes.descriptions.media_types import JSON, TEXT, essence
from processes.models import Job
from streaming.engine.conf import conf

from .negotiation import only_json
from .results import Result
from .site import Link, Site, link, link_header

SANDBOX = {"Content-Security-Policy": "sandbox; default-src 'none'; style-src 'unsafe-inline'", "X-Content-Type-Options": "nosniff"}
"""What a worker or a client wrote must not act as a page of this site."""


MINIMAL = "minimal"
"""The response that a client prefers with `return=minimal`."""


async def deliver(request: HttpRequest, site: Site, job: Job, results: Sequence[Result], response: str) -> HttpResponseBase:
    """The results as the execute request has asked for them.

    `response` is raw, document, minimal (a document with links in place of large outputs), or empty: it has not said.
    """
    if response == MINIMAL:
        return HttpResponse(msgspec.json.encode(await document(site, job, results, conf.PROCESS_MINIMAL_BYTES)), content_type=JSON)
    if response == "document" or (not response and len(results) > 1 and only_json(request)):
        return HttpResponse(msgspec.json.encode(await document(site, job, results)), content_type=JSON)
    links = [reference(site, job, each, rel=each.id) for each in results if each.by_reference]
    if len(links) == len(results):
        return HttpResponse(status=204, headers={"Link": link_header(links)} if links else {})
    if len(results) == 1:
        return single(request, results[0])
    return _multipart(request, site, job, results)


async def document(site: Site, job: Job, results: Sequence[Result], most_bytes: int | None = None) -> dict[str, Any]:
    """Results as JSON: of each output a value or a link. What would make it larger than `most_bytes`, or than may be, are links."""
    left = int(conf.PROCESS_RESULT_BYTES if most_bytes is None else min(most_bytes, conf.PROCESS_RESULT_BYTES))
    within = set()
    for size, each in sorted(((each.size, each) for each in results if not each.by_reference), key=lambda pair: pair[0]):
        left -= size
        if left >= 0:
            within.add(each.id)
    return {each.id: await _in_document(site, job, each) if each.id in within else _link_in_document(site, job, each) for each in results}


def _link_in_document(site: Site, job: Job, result: Result) -> dict[str, str]:
    found = reference(site, job, result)
    return {name: found[name] for name in ("href", "type", "title") if name in found}


async def _in_document(site: Site, job: Job, result: Result) -> Any:
    try:
        value = await result.loaded()
    except (ValueError, RecursionError):  # bytes that are not the JSON that they were said to be
        return _link_in_document(site, job, result)
    if result.binary:
        return {"value": value, "encoding": "base64", "mediaType": result.media_type}
    if isinstance(value, dict) and not (result.is_bbox and "bbox" in value):
        return {"value": value, "mediaType": result.media_type}
    return value


def reference(site: Site, job: Job, result: Result, rel: str = "") -> Link:
    """A link to one output."""
    return link(result.href or site.output(job.id, result.id), rel, result.media_type, result.title or result.id)


def single(request: HttpRequest, result: Result) -> HttpResponseBase:
    """One output as it is."""
    if result.href:
        return HttpResponse(status=307, headers={"Location": result.href})
    if not result.blobs and essence(result.media_type) == TEXT and only_json(request):
        return HttpResponse(msgspec.json.encode(result.value), content_type=JSON)
    headers = {"Content-Disposition": f'inline; filename="{result.file_name}"', **SANDBOX}
    media_type = f"{TEXT}; charset=utf-8" if result.media_type == TEXT else result.media_type
    if not result.blobs:
        return HttpResponse(result.body(), content_type=media_type, headers=headers)
    headers["Content-Length"] = str(result.size)
    return _streamed(request, result.pieces(), media_type, headers)


def _multipart(request: HttpRequest, site: Site, job: Job, results: Sequence[Result]) -> HttpResponseBase:
    boundary = uuid.uuid4().hex
    media_type = f'multipart/related; boundary="{boundary}"; type="{essence(results[0].media_type)}"'
    return _streamed(request, _parts(site, job, results, boundary), media_type, dict(SANDBOX))


async def _parts(site: Site, job: Job, results: Sequence[Result], boundary: str) -> AsyncIterator[bytes]:
    for each in results:
        headers = [f"Content-Type: {each.media_type}", f"Content-ID: {each.id}"]
        if each.by_reference:
            headers.append(f"Content-Location: {reference(site, job, each)['href']}")
        yield "\r\n".join([f"--{boundary}", *headers, "", ""]).encode()
        if not each.by_reference:
            async for piece in each.pieces():
                yield piece
        yield b"\r\n"
    yield f"--{boundary}--\r\n".encode()


def _streamed(request: HttpRequest, pieces: AsyncIterator[bytes], media_type: str, headers: dict[str, str]) -> HttpResponseBase:
    if request.method == "HEAD":
        return HttpResponse(content_type=media_type, headers=headers)
    return StreamingHttpResponse(pieces, content_type=media_type, headers=headers)
