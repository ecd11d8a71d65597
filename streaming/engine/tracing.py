"""Traces one change: where the time went between a request and the sockets, in every process that has subscribers.

The process that was asked tells all others beforehand (`trace.begin`), and what was stored afterwards (`trace.stored`); each answers
once it has delivered that. While nobody traces a feed, its followers have no trace, and it costs nothing.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from secrets import token_hex
from typing import TYPE_CHECKING, Any, TypeVar

from streaming.core.delivery_trace import DeliveryTrace, PullTrace
from streaming.core.errors import StreamError
from streaming.core.follower import Follower
from streaming.core.publish_trace import PublishTrace
from streaming.core.redis import refusing

from .service import Service

if TYPE_CHECKING:
    from .runtime import Runtime

READY_SECONDS = 0.5
ANSWER_SECONDS = 2.0
"""How long other processes may take to get ready, and to deliver."""
FORGET_SECONDS = 30.0
MOST_TRACES = 20
"""At once, in one process."""

T = TypeVar("T")


@dataclass(slots=True)
class _Question:
    """A trace that this process was asked for: who has got ready, who has answered."""

    expected: set[str]
    ready: dict[str, bool] = field(default_factory=dict)
    answers: dict[str, dict[str, Any]] = field(default_factory=dict)
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    async def until(self, condition: Callable[[], bool], seconds: float) -> None:
        """Wait for that, but no longer."""
        try:
            async with asyncio.timeout(seconds):
                while not condition():
                    self.changed.clear()
                    await self.changed.wait()
        except TimeoutError:
            pass


class Tracing(Service):
    """Asks and answers, in one process."""

    def __init__(self, runtime: Runtime) -> None:
        super().__init__(runtime)
        self._hub = runtime.hub
        self._questions: dict[str, _Question] = {}
        self._traced: dict[str, tuple[Follower, DeliveryTrace]] = {}
        self._host, self._pid = socket.gethostname(), os.getpid()

    async def start(self) -> None:
        """Answer from now on."""
        handlers = {"begin": self._begin, "stored": self._stored, "end": self._end, "ready": self._ready, "answer": self._answer}
        for kind, handler in handlers.items():
            self._hub.on(f"trace.{kind}", handler)

    # -- the process that was asked ------------------------------------------

    async def begin(self, feed: str) -> str:
        """Have all processes get ready; returns the trace's id. `StreamError`: rate_limited, redis_unavailable."""
        if len(self._questions) >= MOST_TRACES:
            raise StreamError("rate_limited", f"at most {MOST_TRACES} changes are traced at once")
        id = token_hex(8)
        question = self._questions[id] = _Question(set(await self.runtime.leases.live()))
        await self._send("begin", id=id, feed=feed, node=self._hub.node)
        await question.until(lambda: question.ready.keys() >= question.expected, READY_SECONDS)
        return id

    async def end(self, id: str, published: PublishTrace | None) -> tuple[list[dict[str, Any]], list[str]]:
        """What each process with subscribers did with what was published, and the processes that did not say. None: nothing was."""
        question = self._questions[id]
        try:
            if published is None or not published.last:
                await self._send("end", id=id)
                return [], []
            span = {"first": published.first, "last": published.last, "stored_at": published.stored_at}
            await self._send("stored", id=id, node=self._hub.node, **span)
            concerned = {node for node, has_subscribers in question.ready.items() if has_subscribers}
            await question.until(lambda: question.answers.keys() >= concerned, ANSWER_SECONDS)
            silent = (question.expected - question.ready.keys()) | (concerned - question.answers.keys())
            return list(question.answers.values()), sorted(silent)
        finally:
            del self._questions[id]

    def _ready(self, message: dict[str, Any]) -> None:
        if (question := self._questions.get(message["id"])) is not None:
            question.ready[message["by"]] = message["subscribers"]
            question.changed.set()

    def _answer(self, message: dict[str, Any]) -> None:
        if (question := self._questions.get(message["id"])) is not None:
            question.answers[message["by"]] = message["answer"]
            question.changed.set()

    # -- every process -------------------------------------------------------

    def _begin(self, message: dict[str, Any]) -> None:
        id, follower = message["id"], self._hub.followers.get(message["feed"])
        concerned = follower is not None and not follower.idle and len(self._traced) < MOST_TRACES
        if concerned and follower is not None:
            follower.trace = follower.trace or DeliveryTrace()
            self._traced[id] = follower, follower.trace
            asyncio.get_running_loop().call_later(FORGET_SECONDS, self._forget, id)
        self.runtime.spawn(self._send("ready", id=id, by=self._hub.node, subscribers=concerned))

    def _stored(self, message: dict[str, Any]) -> None:
        if message["id"] in self._traced:
            self.runtime.spawn(self._report(message))

    def _end(self, message: dict[str, Any]) -> None:
        self._forget(message["id"])

    async def _report(self, message: dict[str, Any]) -> None:
        id, first, last = message["id"], message["first"], message["last"]
        follower, trace = self._traced[id]
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                await trace.reaches(last)
        except TimeoutError:
            return
        finally:
            self._forget(id)
        pulls = trace.of(first, last)
        if pulls:
            answer = {**self._described(follower), **times_of(pulls, message["stored_at"])}
            await self._send("answer", id=id, by=self._hub.node, answer=answer)

    def _described(self, follower: Follower) -> dict[str, Any]:
        counts = {"subscribers": len(follower.views), "observers": len(follower.observers)}
        return {"node": self._hub.node, "host": self._host, "pid": self._pid, **counts}

    def _forget(self, id: str) -> None:
        follower, trace = self._traced.pop(id, (None, None))
        if follower is not None and all(other is not trace for _, other in self._traced.values()):
            follower.trace = None

    async def _send(self, kind: str, **fields: Any) -> None:
        with refusing():
            await self._hub.control(f"trace.{kind}", **fields)

    def call(self, work: Coroutine[Any, Any, T]) -> T:
        """Do something of this on the event loop, from a thread."""
        assert self._hub.loop is not None
        return asyncio.run_coroutine_threadsafe(work, self._hub.loop).result(READY_SECONDS + ANSWER_SECONDS + 5)


def times_of(pulls: list[PullTrace], stored_at: float) -> dict[str, Any]:
    """What took how long here, from when the publishing process had it stored, or from when this one heard of it if that was earlier."""
    first, last = pulls[0], pulls[-1]
    stored_at = min(stored_at, first.began)
    return {
        "rung_ms": milliseconds(first.began - stored_at),
        "pulled_ms": milliseconds(sum(pull.pulled - pull.began for pull in pulls)),
        "judged_ms": milliseconds(sum(pull.judged for pull in pulls)),
        "encoded_ms": milliseconds(sum(pull.encoded for pull in pulls)),
        "written_ms": milliseconds(sum(pull.written for pull in pulls)),
        "total_ms": milliseconds(last.done - stored_at),
        "deliveries": sum(pull.deliveries for pull in pulls),
        "waiting": sum(pull.waiting for pull in pulls),
    }


def milliseconds(seconds: float) -> float:
    """For people: to the microsecond, and never negative because two machines' clocks differ."""
    return round(max(seconds, 0.0) * 1000, 3)
