"""A connection to a server: JSON-RPC in both directions over one WebSocket."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import msgspec
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus, InvalidURI

from processes import json_rpc
from processes.json_rpc import Code, Request, RpcError

from .errors import WorkerRefused

logger = logging.getLogger("processes.worker")

SUBPROTOCOL = "ogc-worker.v1+json"
LARGEST_FRAME = 64 * 1024 * 1024
"""Bytes of a message of the server, which has the inputs of a job."""
ANSWER_SECONDS = 45.0
"""How long an answer may take: a server whose database restarts answers when it is back."""
FINAL_CODES = {4401, 4403, 4409}
"""Close codes after which connecting again leads to nothing."""

Handler = Callable[[str, Any], Awaitable[Any]]


class Offline(Exception):
    """There is no connection now."""

    def __init__(self, why: str = "not connected", code: int = 0) -> None:
        super().__init__(why)
        self.code = code


class Connection:
    """An open connection. `handle` is called with the method and parameters of what the server says, in order."""

    def __init__(self, socket: ClientConnection, handle: Handler) -> None:
        self._socket = socket
        self._handle = handle
        self._numbers = 0
        self._asked: dict[int, asyncio.Future[msgspec.Raw]] = {}
        self._reading = asyncio.create_task(self._read())

    async def call(self, method: str, params: Any, seconds: float = ANSWER_SECONDS) -> Any:
        """The server's answer. `RpcError` if it refuses, `Offline` if there is none."""
        self._numbers += 1
        number = self._numbers
        answer: asyncio.Future[msgspec.Raw] = asyncio.get_running_loop().create_future()
        self._asked[number] = answer
        try:
            await self._send(json_rpc.request(number, method, params))
            async with asyncio.timeout(seconds):
                return msgspec.json.decode(await answer)
        except TimeoutError:
            raise Offline(f"the server did not answer {method}") from None
        finally:
            self._asked.pop(number, None)

    async def notify(self, method: str, params: Any) -> None:
        """Say something that is not answered. `Offline`."""
        await self._send(json_rpc.notification(method, params))

    async def closed(self) -> None:
        """Wait for the end of the connection; raises `Offline` with its reason."""
        await asyncio.shield(self._reading)

    async def close(self) -> None:
        """End it."""
        await self._socket.close()
        with contextlib.suppress(Offline, asyncio.CancelledError):
            await self._reading

    async def _send(self, frame: bytes) -> None:
        try:
            await self._socket.send(frame, text=True)
        except ConnectionClosed as closed:
            raise _offline(closed) from None

    async def _read(self) -> None:
        try:
            while True:
                await self._take(await self._socket.recv(decode=False))
        except ConnectionClosed as closed:
            offline = _offline(closed)
            for answer in self._asked.values():
                if not answer.done():
                    answer.set_exception(Offline(str(offline), offline.code))
            raise offline from None

    async def _take(self, frame: bytes) -> None:
        try:
            message = json_rpc.read(frame)
        except RpcError as error:
            logger.warning("the server sent what cannot be read: %s", error)
            return
        if isinstance(message, Request):
            await self._answer(message)
            return
        answer = self._asked.get(message.id) if isinstance(message.id, int) else None
        if answer is not None and not answer.done():
            if message.error is None:
                answer.set_result(message.result)
            else:
                answer.set_exception(json_rpc.raised(message.error))

    async def _answer(self, message: Request) -> None:
        try:
            answer = json_rpc.result(message.id, await self._handle(message.method, msgspec.json.decode(message.params)))
        except RpcError as error:
            answer = json_rpc.failure(message.id, error)
        except Exception:
            logger.exception("%s could not be handled", message.method)
            answer = json_rpc.failure(message.id, RpcError(Code.INTERNAL, "the worker failed to handle the message"))
        if not message.notification:
            with contextlib.suppress(Offline):  # noticed by the next `recv`
                await self._send(answer)


@contextlib.asynccontextmanager
async def connected(url: str, token: str, handle: Handler) -> AsyncIterator[Connection]:
    """Connect. `WorkerRefused` if the server does not take the token, `Offline` if there is no server."""
    headers = {"Authorization": f"Bearer {token}"}
    try:
        socket = await connect(
            url,
            additional_headers=headers,
            subprotocols=[SUBPROTOCOL],  # type: ignore[list-item]  # a NewType of str
            compression=None,
            max_size=LARGEST_FRAME,
            ping_interval=None,  # heartbeats also prove that the server's program is alive
            close_timeout=2.0,
        )
    except InvalidStatus as refusal:
        status = refusal.response.status_code
        if status in (400, 401, 403, 404):
            raise WorkerRefused(f"{url} answered with HTTP status {status}: the token, or the address, is wrong", status) from None
        raise Offline(f"{url} answered with HTTP status {status}") from None
    except InvalidURI as error:
        raise WorkerRefused(str(error)) from None
    except (OSError, InvalidHandshake, TimeoutError, ConnectionClosed) as error:
        raise Offline(f"cannot connect to {url}: {error or type(error).__name__}") from None
    connection = Connection(socket, handle)
    try:
        yield connection
    finally:
        await connection.close()


def _offline(closed: ConnectionClosed) -> Offline:
    received = closed.rcvd
    return Offline(f"the connection was closed: {closed}", received.code if received is not None else 0)
