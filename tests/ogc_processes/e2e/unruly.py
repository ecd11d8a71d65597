"""A worker that speaks the protocol as a test wants, over a real socket, in a thread of the test."""

from __future__ import annotations

import json
from contextlib import ExitStack
from typing import Any, Self

from websockets.sync.client import ClientConnection, connect

DESCRIPTION = {
    "title": "Greet",
    "inputs": {"name": {"schema": {"type": "string"}}},
    "outputs": {"greeting": {"schema": {"type": "string"}}},
}
SECONDS = 15.0


class UnrulyWorker:
    """Answers nothing by itself."""

    def __init__(self, url: str, token: str, name: str, instance: str = "", **limits: Any) -> None:
        self._hello = {"protocol": "1.0", "workerID": name, "instanceID": instance, "concurrency": 4}
        headers = {"Authorization": f"Bearer {token}"}
        self._open = ExitStack()
        self.socket: ClientConnection = self._open.enter_context(
            connect(url, subprotocols=["ogc-worker.v1+json"], additional_headers=headers, **limits)  # type: ignore[list-item]
        )
        self._numbers = 0
        self.asked: list[dict[str, Any]] = []

    def hello(self, **more: Any) -> Self:
        self.welcome = self.call("worker.hello", **self._hello, **more)
        return self

    def offer(self, identifier: str, **options: Any) -> None:
        self.call("process.register", process={"id": identifier, "version": "1.0.0", **DESCRIPTION}, **options)

    def call(self, method: str, **params: Any) -> Any:
        """The result, or the error."""
        self._numbers += 1
        self.socket.send(json.dumps({"jsonrpc": "2.0", "id": self._numbers, "method": method, "params": params}))
        while True:
            message = json.loads(self.socket.recv(SECONDS))
            if message.get("id") == self._numbers and "method" not in message:
                return message["result"] if "result" in message else message["error"]
            self.asked.append(message)

    def notify(self, method: str, **params: Any) -> None:
        self.socket.send(json.dumps({"jsonrpc": "2.0", "method": method, "params": params}))

    def job(self, accept: bool = True) -> dict[str, Any]:
        request = self.request("job.execute")
        if accept:
            self.socket.send(json.dumps({"jsonrpc": "2.0", "id": request["id"], "result": {"accepted": True}}))
        return dict(request["params"])

    def request(self, method: str) -> dict[str, Any]:
        while not (found := [each for each in self.asked if each.get("method") == method]):
            self.asked.append(json.loads(self.socket.recv(SECONDS)))
        self.asked.remove(found[0])
        return dict(found[0])

    def close(self) -> None:
        self._open.close()


def lease_in(job: dict[str, Any]) -> dict[str, Any]:
    return {name: job[name] for name in ("jobID", "attempt", "leaseID")}
