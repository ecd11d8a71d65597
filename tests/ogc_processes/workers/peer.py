"""A worker that says what a test wants: frames of JSON-RPC over a connection in this process."""

from __future__ import annotations

import asyncio
import json
from typing import Any, Self
from uuid import uuid4

from tests.asyncapi.documented import check_documented
from tests.dialects.asgi_peer import TIMEOUT, AsgiPeer

from ..rows import DESCRIPTION

Params = dict[str, Any]


class Refused(Exception):
    """A request that was answered with an error."""

    def __init__(self, error: dict[str, Any]) -> None:
        super().__init__(error["message"])
        self.code = error["code"]
        self.data = error.get("data")


class WorkerPeer:
    """Says `worker.hello` and more; what the server asks it waits in `asked` until the test answers."""

    def __init__(self, token: str, name: str = "w", **hello: Any) -> None:
        headers = [(b"authorization", f"Bearer {token}".encode()), (b"host", b"maps.example.org")]
        self.socket = AsgiPeer("/ws/processes", headers=headers, subprotocols=["ogc-worker.v1+json"])
        self._hello = {"protocol": "1.0", "workerID": name, "concurrency": 4, **hello}
        self._numbers = 0
        self.asked: list[dict[str, Any]] = []
        self.said: list[dict[str, Any]] = []
        self.welcome: Params = {}

    async def connect(self) -> Self:
        """Open the socket, without a word."""
        await self.socket.connect()
        return self

    async def hello(self) -> Self:
        await self.connect()
        self.welcome = await self.call("worker.hello", self._hello)
        return self

    async def offer(self, identifier: str = "greet", version: str = "1.0.0", description: Params | None = None, **options: Any) -> Params:
        process = {**DESCRIPTION, "id": identifier, "version": version, **(description or {})}
        answer: Params = await self.call("process.register", {"process": process, **options})
        return answer

    async def call(self, method: str, params: Params | None = None) -> Any:
        """The result of a request; `Refused`."""
        self._numbers += 1
        number = self._numbers
        await self.send({"jsonrpc": "2.0", "id": number, "method": method, "params": params or {}})
        while True:
            message = await self._next()
            if message.get("id") == number and "method" not in message:
                if "error" in message:
                    raise Refused(message["error"])
                return message["result"]
            self._keep(message)

    async def notify(self, method: str, params: Params) -> None:
        await self.send({"jsonrpc": "2.0", "method": method, "params": params})

    async def send(self, message: Any) -> None:
        await self.socket.send_text(message if isinstance(message, str) else json.dumps(message))

    async def receive(self) -> Any:
        return await self._next()

    async def request(self, method: str) -> dict[str, Any]:
        """The next request of the server, of a method."""
        while True:
            for index, message in enumerate(self.asked):
                if message["method"] == method:
                    return self.asked.pop(index)
            self._keep(await self._next())

    async def notice(self, method: str) -> Params:
        """The next notification of the server."""
        while True:
            for index, message in enumerate(self.said):
                if message["method"] == method:
                    return dict(self.said.pop(index)["params"])
            self._keep(await self._next())

    async def answer(self, request: dict[str, Any], result: Any = None, error: Any = None) -> None:
        outcome = {"error": error} if error is not None else {"result": result}
        await self.send({"jsonrpc": "2.0", "id": request["id"], **outcome})

    async def job(self, accept: bool = True) -> Params:
        """The next job that it is given."""
        request = await self.request("job.execute")
        if accept:
            await self.answer(request, {"accepted": True})
        return {**request["params"], "request": request}

    async def closed(self) -> int:
        return (await self.socket.closed())[0]

    async def close(self) -> None:
        await self.socket.close()

    async def quiet(self, seconds: float = 0.2) -> None:
        """Nothing comes for a moment."""
        await asyncio.sleep(seconds)
        assert self.socket._received.empty(), f"something came: {await self._next()}"

    async def _next(self) -> dict[str, Any]:
        frame = await self.socket.receive_frame()
        message: dict[str, Any] = json.loads(frame)
        check_documented("processes", "server", message)
        return message

    def _keep(self, message: dict[str, Any]) -> None:
        if "method" in message:
            (self.asked if "id" in message else self.said).append(message)


def lease_in(job: Params) -> Params:
    return {name: job[name] for name in ("jobID", "attempt", "leaseID")}


def unknown_lease() -> Params:
    return {"jobID": str(uuid4()), "attempt": 1, "leaseID": str(uuid4())}


__all__ = ["TIMEOUT", "Refused", "WorkerPeer", "lease_in", "unknown_lease"]
