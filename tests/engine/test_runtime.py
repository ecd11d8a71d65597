"""The runtime starts the services of the installed parts in order, and leaves nothing behind."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from typing import Any, ClassVar

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.db import OperationalError
from django.test import AsyncClient

from streaming.core.errors import StreamError
from streaming.core.leases import Leases
from streaming.core.redis import close_async_redis, configure, redis_url
from streaming.engine import runtime as runtimes
from streaming.engine.lifespan import get_runtime, lifespan, running, stop_runtime
from streaming.engine.runtime import Runtime
from streaming.engine.service import Service

pytestmark = pytest.mark.django_db(transaction=True)


class Noting(Service):
    """Notes when it starts and stops."""

    events: ClassVar[list[str]] = []

    async def start(self) -> None:
        self.events.append(f"{type(self).__name__} starts")

    async def stop(self) -> None:
        self.events.append(f"{type(self).__name__} stops")


class Lower(Noting):
    pass


class Upper(Noting):
    """Needs the one below, which is listed after it."""

    def __init__(self, runtime: Runtime) -> None:
        super().__init__(runtime)
        self.lower = runtime.service(Lower)


class Failing(Noting):
    async def start(self) -> None:
        raise StreamError("redis_unavailable", "Redis does not answer")


class OnDemand(Noting):
    pass


@pytest.fixture
def events(redis: None) -> Iterator[list[str]]:
    Noting.events.clear()
    yield Noting.events


def installed(monkeypatch: pytest.MonkeyPatch, *services: type[Service]) -> None:
    monkeypatch.setattr(runtimes, "all_services", lambda: list(services))


async def test_a_service_starts_after_those_it_needs_and_stops_before_them(monkeypatch: pytest.MonkeyPatch, events: list[str]) -> None:
    installed(monkeypatch, Upper, Lower)
    runtime = Runtime()
    await runtime.start()
    await runtime.stop()
    assert events == ["Lower starts", "Upper starts", "Upper stops", "Lower stops"]


async def test_there_is_one_of_each(monkeypatch: pytest.MonkeyPatch, events: list[str]) -> None:
    installed(monkeypatch, Upper)
    runtime = Runtime()
    await runtime.start()
    assert runtime.service(Upper).lower is runtime.service(Lower)
    await runtime.stop()


async def test_services_that_need_each_other_are_an_error(monkeypatch: pytest.MonkeyPatch, events: list[str]) -> None:
    class Round(Service):
        def __init__(self, runtime: Runtime) -> None:
            super().__init__(runtime)
            runtime.service(Round)

    with pytest.raises(RuntimeError, match="circle"):
        Runtime().service(Round)


async def test_one_that_is_asked_for_later_starts_then_and_stops_first(monkeypatch: pytest.MonkeyPatch, events: list[str]) -> None:
    installed(monkeypatch, Lower)
    runtime = Runtime()
    await runtime.start()
    runtime.service(OnDemand)
    await asyncio.sleep(0)
    assert events == ["Lower starts", "OnDemand starts"]
    await runtime.stop()
    assert events[2:] == ["OnDemand stops", "Lower stops"]


async def test_one_that_is_asked_for_during_the_start_starts_too(monkeypatch: pytest.MonkeyPatch, events: list[str]) -> None:
    class Asking(Service):
        async def start(self) -> None:
            self.runtime.service(OnDemand)

    installed(monkeypatch, Asking)
    runtime = Runtime()
    await runtime.start()
    assert events == ["OnDemand starts"]
    await runtime.stop()


async def test_a_failed_start_stops_what_was_started(monkeypatch: pytest.MonkeyPatch, events: list[str]) -> None:
    installed(monkeypatch, Lower, Failing, Upper)
    before = asyncio.all_tasks()
    with pytest.raises(StreamError, match="does not answer"):
        await get_runtime()
    assert events == ["Lower starts", "Failing stops", "Lower stops"]
    assert asyncio.all_tasks() == before and running() is None


async def test_a_start_without_redis_leaves_no_task_behind_however_often_it_is_tried(
    monkeypatch: pytest.MonkeyPatch, events: list[str]
) -> None:
    async def fails(leases: Leases) -> None:
        raise StreamError("redis_unavailable", "Redis does not answer")

    monkeypatch.setattr(Leases, "renew", fails)
    before = asyncio.all_tasks()
    for _ in range(3):
        with pytest.raises(StreamError):
            await get_runtime()
    assert asyncio.all_tasks() == before


async def test_a_service_that_does_not_stop_well_keeps_no_other_from_stopping(
    monkeypatch: pytest.MonkeyPatch, events: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    class Stuck(Noting):
        async def stop(self) -> None:
            raise OSError("broken")

    installed(monkeypatch, Lower, Stuck)
    await get_runtime()
    await stop_runtime()
    assert events[-1] == "Lower stops" and "Stuck did not stop well" in caplog.text


async def test_a_service_that_is_not_well_takes_the_process_out_of_service(monkeypatch: pytest.MonkeyPatch, events: list[str]) -> None:
    class Unwell(Service):
        def health(self) -> dict[str, bool]:
            return {"disk": False}

    installed(monkeypatch, Unwell)
    await get_runtime()
    answer = await AsyncClient().get("/readyz")
    assert (answer.status_code, answer.json()["checks"]["disk"]) == (503, False)
    await stop_runtime()


async def test_a_database_that_is_away_takes_the_process_out_of_service(monkeypatch: pytest.MonkeyPatch, events: list[str]) -> None:
    def fails(*args: Any, **kwargs: Any) -> None:
        raise OperationalError("unable to open database file")

    monkeypatch.setattr("django.db.backends.base.base.BaseDatabaseWrapper.cursor", fails)
    answer = await AsyncClient().get("/readyz")
    assert (answer.status_code, answer.json()["checks"]["database"]) == (503, False)


async def test_the_server_is_told_in_a_sentence_why_it_cannot_start(monkeypatch: pytest.MonkeyPatch, events: list[str]) -> None:
    installed(monkeypatch, Failing)
    messages: list[dict[str, Any]] = [{"type": "lifespan.startup"}]
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return messages.pop()

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    await lifespan({"type": "lifespan"}, receive, send)
    assert sent == [{"type": "lifespan.startup.failed", "message": "Redis does not answer"}]


async def test_a_server_that_is_not_set_up_refuses_its_clients_and_says_in_its_log_why(
    monkeypatch: pytest.MonkeyPatch, events: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    class NotSetUp(Service):
        async def start(self) -> None:
            raise ImproperlyConfigured("GEOSTREAM_KEY is missing")

    installed(monkeypatch, NotSetUp)
    with pytest.raises(StreamError) as refusal:
        await get_runtime()
    assert refusal.value.code == "internal" and "GEOSTREAM_KEY" not in refusal.value.message
    assert "GEOSTREAM_KEY is missing" in caplog.text
    assert (await AsyncClient().get("/metrics")).status_code == 500


async def test_redis_is_looked_for_in_a_thread(events: list[str]) -> None:
    threads: list[int] = []

    def find() -> str:
        threads.append(threading.get_ident())
        return url

    url = redis_url()
    await close_async_redis()
    configure(find)
    try:
        await get_runtime()
        await stop_runtime()
    finally:
        await close_async_redis()
        configure(lambda: url)
    (thread,) = threads
    assert thread != threading.get_ident()
