"""The session of one worker: JSON-RPC both ways, who it is, what it offers, and how many more jobs it can do."""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

import msgspec
from django.db import DatabaseError

from processes import json_rpc, nul
from processes.jobs.outcomes import LeaseError
from processes.json_rpc import Code, Request, Response, RpcError
from streaming.core.errors import CloseCode, StreamError
from streaming.core.tasks import TaskSet
from streaming.engine.conf import conf

from . import job_messages, worker_messages
from .allowance import Allowance
from .held_jobs import HeldJob
from .offers import OfferedProcess
from .service import Workers

if TYPE_CHECKING:
    from .consumer import WorkerConnection

logger = logging.getLogger(__name__)

AT_ONCE = 64
"""Requests of one worker that are handled at the same time; it is read on when one of them is done."""
BAD_FRAMES = 20

_LEASE_CODES = {"unknown": Code.NO_SUCH_JOB, "lost": Code.LEASE_LOST, "ended": Code.JOB_ENDED}
_LEASE_TEXTS = {"unknown": "there is no such job", "lost": "the lease does not hold any more: stop", "ended": "the job is over: stop"}

_FOR_PEOPLE = ("job.fail", "job.log", "job.progress")
"""Methods with texts for people: a character that cannot be stored is replaced there, and refused in values."""

Answered = Callable[[msgspec.Raw, RpcError | None], None]


class WorkerSession:
    """One connected worker. Refusals are answers with a code; they cost other workers nothing."""

    dialect: ClassVar[str] = "processes"
    spare_pings = False

    def __init__(self, connection: WorkerConnection) -> None:
        self.connection = connection
        self.token = connection.token
        self.workers = connection.runtime.service(Workers)
        self.id = uuid.uuid4()
        self.worker = 0
        """Its primary key, after its hello."""
        self.name = ""
        self.concurrency = 0
        self.offers: dict[int, OfferedProcess] = {}
        self.held: dict[uuid.UUID, HeldJob] = {}
        self.draining = False
        self.suspect = False
        self.strikes = 0
        self.closed = False
        self.revision = 0
        self.idle_since = time.monotonic()
        self.busy_until = 0.0
        self.allowance = Allowance(conf.PROCESS_MESSAGES_PER_SECOND, conf.PROCESS_BYTES_PER_SECOND)
        self._opened_at = time.monotonic()
        self._bad_frames = 0
        self._numbers = 0
        self._asked: dict[str, Answered] = {}
        self._tasks = TaskSet()

    # -- the engine's session ------------------------------------------------

    async def receive(self, data: str | bytes) -> None:
        """Handle one frame."""
        if isinstance(data, bytes):
            self.connection.close(CloseCode.BAD_PROTOCOL, "frames are text")
            return
        try:
            message = json_rpc.read(data)
        except RpcError as error:
            self._bad_frame(error)
            return
        if isinstance(message, Response):
            self._answered(message)
        elif self._may(message, len(data)):
            await self._handle(message, len(data))

    def describe(self) -> list[dict[str, Any]]:
        """What it offers, for the admin."""
        return [
            {"id": f"{each.identifier} {each.version}", "kind": "process", "feed": each.identifier, "waiting": self._count(each.pk)}
            for each in self.offers.values()
        ]

    def tick(self, now: float) -> None:
        """Close a worker that says nothing."""
        if not self.worker:
            if time.monotonic() - self._opened_at > conf.PROCESS_HELLO_SECONDS:
                self.connection.close(CloseCode.IDLE, "the first message must be worker.hello")
        elif time.monotonic() - self.connection.received_at > conf.PROCESS_LEASE_SECONDS:
            self.connection.close(CloseCode.UNRESPONSIVE, "no heartbeat for as long as a lease holds")

    def access_changed(self) -> None:
        """Users have nothing to do with it."""

    def expire(self, reason: StreamError) -> None:
        """The reason is in the close frame."""

    def close(self) -> None:
        """The connection is gone; the leases run on."""
        self.closed = True
        self._tasks.cancel()
        self.workers.left(self)

    # -- what it can do ------------------------------------------------------

    @property
    def free(self) -> int:
        """How many more jobs it takes."""
        if self.closed or self.connection.closing or self.draining or self.suspect or time.monotonic() < self.busy_until:
            return 0
        return max(0, self.concurrency - len(self.held))

    def free_for(self, process: int) -> int:
        """How many more of one process."""
        return max(0, self.offers[process].concurrency - self._count(process))

    def holds(self, held: HeldJob) -> None:
        """It was given a job."""
        self.held[held.lease.lease] = held
        self.revision += 1

    def released(self, held: HeldJob) -> None:
        """A job has ended."""
        self.held.pop(held.lease.lease, None)
        self.revision += 1
        if not self.held:
            self.idle_since = time.monotonic()
        self.workers.dispatcher.freed(self)

    def _count(self, process: int) -> int:
        return sum(each.offer.pk == process for each in self.held.values())

    # -- to the worker -------------------------------------------------------

    def request(self, method: str, params: dict[str, Any], answered: Answered) -> int:
        """Ask the worker something; returns the bytes of the frame."""
        self._numbers += 1
        number = f"s-{self._numbers}"
        self._asked[number] = answered
        return self._send(json_rpc.request(number, method, params))

    def notify(self, method: str, params: dict[str, Any]) -> None:
        """Let the worker know something."""
        self._send(json_rpc.notification(method, params))

    def _send(self, frame: bytes) -> int:
        if not self.closed:
            self.connection.outbox.send(*self.connection.sender.framing.pack([frame], True))
        return len(frame)

    def _answered(self, message: Response) -> None:
        answered = self._asked.pop(message.id, None) if isinstance(message.id, str) else None
        if answered is not None:
            answered(message.result, None if message.error is None else json_rpc.raised(message.error))

    # -- from the worker -----------------------------------------------------

    def _may(self, message: Request, size: int) -> bool:
        if self.allowance.take(size):
            return True
        self.workers.counts["refused"] += 1
        if self.allowance.flooding:
            self.connection.close(CloseCode.FLOODING, "too many messages, or too many bytes, a second")
        elif not message.notification:
            self._send(json_rpc.failure(message.id, RpcError(Code.RATE, "too much at once: wait a moment")))
        return False

    def _bad_frame(self, error: RpcError) -> None:
        self.workers.counts["refused"] += 1
        self._bad_frames += 1
        self._send(json_rpc.failure(None, error))
        if self._bad_frames >= BAD_FRAMES:
            self.connection.close(CloseCode.BAD_PROTOCOL, "too many frames were no messages of JSON-RPC")

    async def _handle(self, message: Request, size: int) -> None:
        handle = job_messages.METHODS.get(message.method)
        if handle is not None and self.worker:  # in order of arrival as far as the database, and several at once
            while len(self._tasks) >= AT_ONCE:
                await asyncio.sleep(0.001)
            self._tasks.spawn(self._answer(message, handle, size))
        else:
            await self._answer(message, worker_messages.METHODS.get(message.method, handle), size)

    async def _answer(self, message: Request, handle: Any, size: int) -> None:
        try:
            answer = await self._do(message, handle, size)
        except RpcError as error:
            self._refuse(message, error)
        except LeaseError as error:
            self._refuse(message, RpcError(_LEASE_CODES[error.why], _LEASE_TEXTS[error.why]))
        except StreamError as error:
            self._refuse(message, RpcError(Code.RATE if error.kind.retry else Code.INVALID_PARAMS, error.message))
        except DatabaseError as error:
            logger.warning("%s of the worker %s was not stored: %s", message.method, self.name, error)
            self._refuse(message, RpcError(Code.INTERNAL, "the database does not answer; try again", {"retry": True}))
        except Exception:
            logger.exception("%s of the worker %s could not be handled", message.method, self.name)
            self._refuse(message, RpcError(Code.INTERNAL, "the server failed to handle the message"))
        else:
            if not message.notification:
                self._send(json_rpc.result(message.id, answer))

    async def _do(self, message: Request, handle: Any, size: int) -> Any:
        if handle is None:
            if message.notification:
                return None  # a later version of the protocol may have it
            raise RpcError(Code.METHOD_NOT_FOUND, f"there is no method {message.method[:100]!r}")
        if not self.worker and message.method != "worker.hello":
            raise RpcError(Code.HELLO_FIRST, "the first message must be worker.hello")
        kind, do = handle
        try:
            params = msgspec.json.decode(_storable(message), type=kind)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise RpcError(Code.INVALID_PARAMS, f"{message.method}: {error}") from None
        return await do(self, params, size)

    def _refuse(self, message: Request, error: RpcError) -> None:
        self.workers.counts["refused"] += 1
        if not message.notification:
            self._send(json_rpc.failure(message.id, error))


def _storable(message: Request) -> msgspec.Raw | bytes:
    """The parameters, if databases can store their texts."""
    if nul.ESCAPED not in memoryview(message.params).tobytes() or not nul.has_nul(params := msgspec.json.decode(message.params)):
        return message.params
    if message.method in _FOR_PEOPLE:
        return msgspec.json.encode(nul.without_nul(params))
    raise RpcError(Code.INVALID_PARAMS, f"{message.method}: {nul.WHY}")
