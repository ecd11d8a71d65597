"""The inputs of a job as its worker is given them: links are followed, and what is large is stored beside the job."""

from __future__ import annotations

import asyncio
import base64
import time
from collections.abc import AsyncIterator, Hashable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import msgspec

from processes import nul
from processes.descriptions import Fault, Given, ProcessDescription, Schema
from processes.descriptions.media_types import TEXT, essence, is_json
from processes.models import Blob
from streaming.core.errors import StreamError
from streaming.core.json_depth import exceeds_depth
from streaming.core.json_values import MAX_DEPTH
from streaming.engine.conf import conf
from streaming.engine.outgoing import AddressRefused, AddressRules, Answer, RequestFailed, send
from streaming.engine.service import Service

from .blobs import store
from .exceptions import invalid_request

if TYPE_CHECKING:
    from streaming.engine.runtime import Runtime

AT_ONCE = 8
"""Requests of one server process whose links are followed at the same time."""
AT_ONCE_OF_CLIENT = 2
WAITING_OF_CLIENT = 20
"""Requests of one client, and of those that wait: what is slow to answer holds up its own client only."""
MOST_REDIRECTS = 5
_UNSAID = ("", "application/octet-stream", "binary/octet-stream", TEXT)
"""Types that servers give to what they do not know."""

Inputs = dict[str, list[dict[str, Any]]]


class LinkFollower(Service):
    """Follows links of inputs, for a few requests at once: what they lead to is held in memory."""

    def __init__(self, runtime: Runtime) -> None:
        super().__init__(runtime)
        self._turns = asyncio.Semaphore(AT_ONCE)
        self._of_clients: dict[Hashable, _Turns] = {}

    async def follow(self, client: Hashable, description: ProcessDescription, given: Mapping[str, list[Given]]) -> dict[str, list[Given]]:
        """The inputs with what their links lead to; links that the worker is to follow stay. `OgcError` with all faults."""
        links = [each for values in given.values() for each in values if each.href]
        if not links:
            return dict(given)
        if len(links) > conf.PROCESS_LINKS:
            raise invalid_request([Fault("/inputs", f"{len(links)} inputs are links; at most {conf.PROCESS_LINKS} may be")])
        async with self._turn_of(client), self._turns:
            request = _Following(description)
            found = {each.pointer: await request.follow(each) for each in links}
        if request.faults:
            raise invalid_request([fault.within("/inputs") for fault in request.faults])
        return {name: [found.get(each.pointer, each) for each in values] for name, values in given.items()}

    @asynccontextmanager
    async def _turn_of(self, client: Hashable) -> AsyncIterator[None]:
        turns = self._of_clients.setdefault(client, _Turns())
        if turns.taken >= WAITING_OF_CLIENT:
            raise StreamError("rate_limited", "the links of too many of your requests are being followed; wait for them")
        turns.taken += 1
        try:
            async with turns.semaphore:
                yield
        finally:
            turns.taken -= 1
            if not turns.taken:
                self._of_clients.pop(client, None)


class _Turns:
    """Those of one client."""

    def __init__(self) -> None:
        self.taken = 0
        self.semaphore = asyncio.Semaphore(AT_ONCE_OF_CLIENT)


class _Following:
    """The links of one request, which share its time and its bytes."""

    def __init__(self, description: ProcessDescription) -> None:
        self.faults: list[Fault] = []
        self._description = description
        self._rules = AddressRules.allowing(conf.PROCESS_PRIVATE_ADDRESSES)
        self._bytes: int = conf.PROCESS_LINK_BYTES
        self._until = time.monotonic() + conf.PROCESS_LINK_SECONDS

    async def follow(self, link: Given) -> Given:
        """The value of an input that is a link; its faults are collected."""
        try:
            if not self._description.inputs[link.input].fetches:
                await self._rules.resolve(self._rules.check(link.href))
                return link
            answer = await self._fetch(link.href)
        except (AddressRefused, RequestFailed) as error:
            self.faults.append(Fault(f"{link.pointer}/href", str(error), link.input))
            return link
        schema = self._description.inputs[link.input].schema
        given = replace(link, href="", media_type=_media_type(schema, link.media_type, answer.headers.get("content-type", "")))
        read, faults = await asyncio.to_thread(_read, self._description, given, answer.body)
        self.faults += faults
        return read

    async def _fetch(self, url: str) -> Answer:
        left = max(self._until - time.monotonic(), 0.001)
        answer = await send("GET", url, self._rules, seconds=left, most_bytes=self._bytes, redirects=MOST_REDIRECTS)
        self._bytes -= len(answer.body)
        if answer.status != 200:
            raise RequestFailed(f"the server there answers {answer.status}")
        if answer.headers.get("content-encoding", "identity") != "identity":
            raise RequestFailed("the server there compresses what was to be sent as it is")
        return answer


def _media_type(schema: Schema, asked: str, served: str) -> str:
    """What the client says, or else what the server there says, if that means anything here."""
    if asked:
        return asked
    return "" if essence(served) in _UNSAID or schema.branch_of(served) is None else served


def _read(description: ProcessDescription, given: Given, body: bytes) -> tuple[Given, list[Fault]]:
    schema = description.inputs[given.input].schema
    if schema.is_binary(given.media_type):
        return replace(given, value=base64.b64encode(body).decode(), encoding="base64"), []
    try:
        value = _decoded(schema, given.media_type, body)
    except (msgspec.DecodeError, UnicodeError, RecursionError, ValueError) as error:
        return given, [Fault(f"{given.pointer}/href", f"what is there cannot be read: {error}", given.input)]
    return replace(given, value=value), description.given_faults(given, value)


def _decoded(schema: Schema, media_type: str, body: bytes) -> Any:
    branch = schema.branch_of(media_type) if media_type else schema.branches[0]
    declared = media_type or str((branch or {}).get("contentMediaType", ""))
    kind = (branch or {}).get("type")
    if kind == "string" and not is_json(declared):
        text = body.decode()
        if "\0" in text:
            raise ValueError(nul.WHY)
        return text
    if exceeds_depth(body, MAX_DEPTH):
        raise ValueError(f"it is nested more deeply than {MAX_DEPTH} levels")
    value = msgspec.json.decode(body)
    if nul.ESCAPED in body and nul.has_nul(value):
        raise ValueError(nul.WHY)
    return value


async def stored_inputs(description: ProcessDescription, given: Mapping[str, list[Given]], blobs: list[Blob]) -> Inputs:
    """The inputs as a job has them. `blobs` is given those of what is large; their rows are not saved yet."""
    sizes = {each.pointer: _size(each) for values in given.values() for each in values}
    large = {pointer for pointer, size in sizes.items() if size > conf.PROCESS_INLINE_BYTES}
    within = sum(size for pointer, size in sizes.items() if pointer not in large)
    for pointer in sorted(sizes.keys() - large, key=lambda each: -sizes[each]):
        if within <= conf.PROCESS_FRAME_BYTES // 2:  # its message has more than inputs
            break
        large.add(pointer)
        within -= sizes[pointer]
    inputs: Inputs = {}
    for name, values in given.items():
        inputs[name] = []
        for each in values:
            if each.pointer not in large or each.href:
                inputs[name].append(each.stored())
                continue
            media_type = each.media_type or description.inputs[name].schema.media_type_of(each.value)
            blob = await store(await asyncio.to_thread(_as_bytes, each), media_type)
            blobs.append(blob)
            inputs[name].append({"blob": {"id": str(blob.id), "size": blob.size, "sha256": blob.sha256}, "mediaType": media_type})
    return inputs


def _size(given: Given) -> int:
    if given.encoding == "base64":
        return len(given.value)
    return 0 if given.href else len(msgspec.json.encode(given.value))


def _as_bytes(given: Given) -> bytes:
    """What a binary input is; of any other its JSON."""
    return base64.b64decode(given.value) if given.encoding == "base64" else msgspec.json.encode(given.value)
