"""What only a server shows: bodies that are bounded while they arrive, and streams that end with it."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.contrib.auth.models import User
from rest_framework_simplejwt.tokens import AccessToken

from processes.models import Job
from streaming.engine.runtime import Runtime
from tests.ogc_processes.descriptions.examples import ECHO
from tests.ogc_processes.live import serving
from tests.ogc_processes.played_worker import PlayedWorker

from .conftest import Api, describe, offer
from .test_execution import TEXT, never

PATH = "/ogc/processes/echo/execution"


class Connection:
    """One HTTP connection, byte by byte."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @classmethod
    async def to(cls, url: str) -> Connection:
        parts = urlsplit(url)
        return cls(*await asyncio.open_connection(parts.hostname, parts.port))

    async def send(self, method: str, path: str, *pieces: bytes, **headers: str) -> None:
        lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", *(f"{name.replace('_', '-')}: {value}" for name, value in headers.items())]
        self.writer.write("\r\n".join([*lines, "", ""]).encode())
        for piece in pieces:
            self.writer.write(b"%x\r\n%s\r\n" % (len(piece), piece))
            await self.writer.drain()

    async def head(self) -> tuple[str, dict[str, str]]:
        async with asyncio.timeout(20):
            first, *lines = (await self.reader.readuntil(b"\r\n\r\n")).decode().strip().split("\r\n")
        return first, {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}

    def close(self) -> None:
        self.writer.close()


@pytest.fixture
async def connect(runtime: Runtime) -> AsyncIterator[Callable[[], Any]]:
    """Connects to a running server."""
    made: list[Connection] = []
    async with serving() as url:

        async def connect() -> Connection:
            made.append(await Connection.to(url))
            return made[-1]

        yield connect
        for each in made:
            each.close()


@pytest.fixture
async def token(runtime: Runtime) -> str:
    return f"Bearer {AccessToken.for_user(await User.objects.acreate_user('ada'))}"


async def test_a_body_is_not_read_beyond_its_limit_whoever_sends_it(connect: Any, token: str, runtime: Runtime, settings: Any) -> None:
    settings.GEOSTREAM_PROCESS_BODY_BYTES = 10_000
    await describe(runtime, "echo", description=ECHO)
    connection = await connect()
    declared = {"content_type": "application/json", "authorization": token, "content_length": "99999999999"}
    await connection.send("POST", PATH, **declared)
    status, headers = await connection.head()
    assert status == "HTTP/1.1 413 Request Entity Too Large" or status.startswith("HTTP/1.1 413")
    document = json.loads(await connection.reader.readexactly(int(headers["content-length"])))
    assert (document["status"], document["type"]) == (413, "about:blank")


async def test_a_body_without_a_length_is_counted(connect: Any, token: str, runtime: Runtime, settings: Any) -> None:
    settings.GEOSTREAM_PROCESS_BODY_BYTES = 10_000
    await describe(runtime, "echo", description=ECHO)
    connection = await connect()
    headers = {"content_type": "application/json", "authorization": token, "transfer_encoding": "chunked"}
    await connection.send("POST", PATH, b"{", b" " * 6000, b" " * 6000, **headers)
    assert (await connection.head())[0].startswith("HTTP/1.1 413")


@pytest.mark.usefixtures("anonymous_may")
async def test_streams_and_waiting_requests_end_with_the_server(runtime: Runtime, worker: PlayedWorker) -> None:
    await offer(worker, never, "echo", description=ECHO)
    job = (await Api().run("echo", TEXT))["jobID"]
    async with serving() as url:
        stream, waiting = await Connection.to(url), await Connection.to(url)
        await stream.send("GET", f"/ogc/jobs/{job}/events")
        assert (await stream.head())[1]["content-type"] == "text/event-stream"
        body = json.dumps(TEXT).encode()
        await waiting.send("POST", PATH, content_type="application/json", content_length=str(len(body)))
        waiting.writer.write(body)
        async with asyncio.timeout(20):
            while len((await Api().json("/jobs"))["jobs"]) < 2:
                await asyncio.sleep(0.01)
        began = time.monotonic()
    assert time.monotonic() - began < 8  # and not the ten seconds after which the server ends them
    assert (await waiting.head())[0].startswith("HTTP/1.1 201")
    assert (await stream.reader.read()).endswith(b"0\r\n\r\n")
    for each in (stream, waiting):
        each.close()


async def test_requests_with_a_token_go_past_the_middleware_to_every_form_of_result(
    connect: Any, token: str, echoing: PlayedWorker
) -> None:
    for outputs, response, begin in (({"text": {}}, "raw", b"hello"), ({}, "raw", b"--"), ({}, "document", b'{"text":"hello"')):
        connection = await connect()
        body = json.dumps({"inputs": {"text": "hello", "numbers": [1]}, "outputs": outputs, "response": response}).encode()
        headers = {"content_type": "application/json", "authorization": token, "content_length": str(len(body)), "connection": "close"}
        await connection.send("POST", PATH, **headers)
        connection.writer.write(body)
        status, found = await connection.head()
        assert status.startswith("HTTP/1.1 200") and "vary" in found
        rest = await connection.reader.read()
        assert begin in rest[: len(begin) + 10]
    assert (await Job.objects.afirst()).owner_id is not None  # type: ignore[union-attr]


async def test_a_client_with_a_token_that_hangs_up_is_not_waited_for(
    connect: Any, token: str, runtime: Runtime, worker: PlayedWorker, settings: Any
) -> None:
    settings.GEOSTREAM_PROCESS_SYNC_JOBS_VISIBLE = False
    await offer(worker, never, "echo", description=ECHO)
    connection = await connect()
    body = json.dumps(TEXT).encode()
    await connection.send("POST", PATH, content_type="application/json", authorization=token, content_length=str(len(body)))
    connection.writer.write(body)
    async with asyncio.timeout(20):
        while not await Job.objects.filter(status__in=("accepted", "running")).aexists():
            await asyncio.sleep(0.01)
        connection.close()
        while await Job.objects.exclude(status="dismissed").aexists():
            await asyncio.sleep(0.01)
