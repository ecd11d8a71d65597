"""Clients in process, whose every answer is checked against the official schemas, and a worker that is played."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import AsyncClient
from django.utils import timezone
from rest_framework_simplejwt.tokens import AccessToken

from processes.catalogue import ProcessCatalogue
from processes.models import Process
from streaming.engine.runtime import Runtime
from tests.ogc_processes.descriptions.examples import ECHO
from tests.ogc_processes.played_worker import Function, PlayedWorker, echo
from tests.ogc_processes.rows import make_process
from tests.ogc_processes.schemas import check

SITE = "http://testserver/ogc"
_DOCUMENTS = {"": "landingPage", "conformance": "confClasses", "processes": "processList", "jobs": "jobList"}


class Api:
    """A client of the API: nobody, or a user with a token. JSON that it receives is checked against its official schema."""

    def __init__(self, user: User | None = None) -> None:
        self.user = user
        self.headers = {"Authorization": f"Bearer {AccessToken.for_user(user)}"} if user is not None else {}
        self.client = AsyncClient()

    async def request(self, method: str, path: str, body: Any = None, content_type: str = "application/json", **headers: str) -> Any:
        path = path.removeprefix(SITE)
        data = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        typed = content_type if body is not None else ""
        given = {**self.headers, **{name.replace("_", "-"): value for name, value in headers.items()}}
        answer = await self.client.generic(method, f"/ogc{path}", data, content_type=typed, headers=given)
        _check(method, path, answer)
        return answer

    async def get(self, path: str = "", **headers: str) -> Any:
        return await self.request("GET", path, **headers)

    async def json(self, path: str = "", **headers: str) -> Any:
        answer = await self.get(path, **headers)
        assert answer.status_code == 200, answer.content
        return answer.json()

    async def delete(self, path: str, **headers: str) -> Any:
        return await self.request("DELETE", path, **headers)

    async def execute(self, process: str = "echo", body: Any = None, **headers: str) -> Any:
        return await self.request("POST", f"/processes/{process}/execution", body, **headers)

    async def run(self, process: str = "echo", body: Any = None, **headers: str) -> Any:
        """Execute asynchronously: the job's document."""
        answer = await self.execute(process, body, prefer="respond-async", **headers)
        assert answer.status_code == 201, answer.content
        return answer.json()


def _check(method: str, path: str, answer: Any) -> None:
    kind = answer.get("Content-Type", "").partition(";")[0]
    if answer.streaming or method in ("HEAD", "OPTIONS"):
        return
    if answer.status_code >= 400:
        assert kind in ("application/json", "application/problem+json"), (answer.status_code, kind)
        check("exception", answer.json())
        assert answer.json()["status"] == answer.status_code
    elif kind == "application/json" and (name := _document(path.partition("?")[0], answer.status_code)):
        check(name, answer.json())


def _document(path: str, status: int) -> str | None:
    steps = path.strip("/").split("/")
    if len(steps) == 1:
        return _DOCUMENTS.get(steps[0])
    if steps[0] == "jobs" and len(steps) == 2:
        return "statusInfo"
    if steps[0] == "processes":
        return "process" if len(steps) == 2 else "statusInfo" if status == 201 else None
    return None


@pytest.fixture
def anonymous_may(settings: Any) -> None:
    settings.GEOSTREAM_PROCESS_ANONYMOUS = True


@pytest.fixture
async def api(runtime: Runtime, anonymous_may: None) -> Api:
    """Nobody, who may execute processes."""
    return Api()


@pytest.fixture
async def user(runtime: Runtime) -> Callable[..., Any]:
    """Makes clients of users."""

    async def make(name: str, **fields: Any) -> Api:
        return Api(await User.objects.acreate_user(name, password="secret", **fields))

    return make


@pytest.fixture
async def worker(runtime: Runtime) -> AsyncIterator[PlayedWorker]:
    """A worker that does what it is given functions for."""
    played = PlayedWorker(runtime)
    yield played
    await played.stop()


@pytest.fixture
async def echoing(worker: PlayedWorker) -> PlayedWorker:
    """A worker that offers the echo process."""
    await offer(worker, echo, "echo", description=ECHO)
    return worker


async def offer(worker: PlayedWorker, function: Function, identifier: str, **fields: Any) -> Process:
    """Have a worker offer a process."""
    process = await worker.jobs.read(lambda: make_process(identifier, **fields))
    await worker.offer(function, process, name=f"worker of {identifier}")
    return process


async def describe(runtime: Runtime, identifier: str, **fields: Any) -> Process:
    """A process that no worker offers."""
    from processes.jobs.service import Jobs

    process = await runtime.service(Jobs).read(lambda: make_process(identifier, last_online=timezone.now(), **fields))
    await runtime.service(ProcessCatalogue).announce()
    return process
