"""The npm package `phoenix` in a Node.js process that does what a test says: tests/js/phoenix/client.mjs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from .node_process import TIMEOUT, Happening, NodeProcess

PACKAGES = {"1.8": "phoenix", "1.7": "phoenix-1-7"}


class PhoenixJs(NodeProcess):
    """One process with as many sockets as a test opens. Sockets and channels reconnect after a tenth of a second."""

    subjects = ("socket", "topic")

    def __init__(self, package: str) -> None:
        super().__init__(package, "tests/js/phoenix/client.mjs", package)

    def socket(self, url: str, **options: Any) -> Socket:
        """A socket that is connected."""
        return Socket(self, self.connected(url, **options))


class Socket:
    """A `Socket` of the package, by the name that the process knows it by."""

    def __init__(self, client: PhoenixJs, name: str) -> None:
        self.client = client
        self.name = name

    def join(self, topic: str, *params: dict[str, Any], **options: Any) -> Topic:
        """A channel that is joined; each join takes the next of `params`, at last the last one again and again."""
        status, response = self.try_join(topic, *params, **options)
        assert status == "ok", response
        return Topic(self, topic, response)

    def try_join(self, topic: str, *params: dict[str, Any], **options: Any) -> tuple[str, Any]:
        """Status and response of the first join."""
        status, response = self.client.call("join", socket=self.name, topic=topic, params=list(params) or [{}], **options)
        return status, response

    def until(self, what: str, timeout: float = TIMEOUT, **about: Any) -> Happening:
        return self.client.until(what, timeout, socket=self.name, **about)

    def disconnect(self) -> None:
        self.client.call("disconnect", socket=self.name)


class Topic:
    """A `Channel` of the package."""

    def __init__(self, socket: Socket, name: str, response: Any) -> None:
        self.socket = socket
        self.name = name
        self.response = response

    def push(self, event: str, payload: Any) -> tuple[str, Any]:
        """Status and response; bytes, here and there, are `{"hex": ...}`."""
        status, response = self._call("push", event=event, payload=payload)
        return status, response

    def leave(self) -> tuple[str, Any]:
        status, response = self._call("leave")
        return status, response

    @property
    def state(self) -> str:
        """closed, errored, joined, joining or leaving."""
        return str(self._call("state"))

    def until(self, what: str, timeout: float = TIMEOUT, **about: Any) -> Happening:
        return self.socket.until(what, timeout, topic=self.name, **about)

    def message(self, event: str) -> Any:
        """The payload of the next message of an event."""
        return self.until("message", event=event)["payload"]

    def shows(self, *keys: str) -> None:
        """Sooner or later these are shown as present, each once for every time it is given."""
        wanted = [[key, keys.count(key)] for key in sorted(set(keys))]
        while sorted(self.until("presence")["keys"]) != wanted:
            pass

    def _call(self, what: str, **about: Any) -> Any:
        return self.socket.client.call(what, socket=self.socket.name, topic=self.name, **about)


@contextmanager
def phoenix_js(version: str) -> Iterator[PhoenixJs]:
    """The package in one of its versions."""
    client = PhoenixJs(PACKAGES[version])
    try:
        yield client
    finally:
        client.stop()
