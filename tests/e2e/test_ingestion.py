"""A running server with a folder into which another program copies: files become layers on `/ws`, and go with their files."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from websockets.sync.client import ClientConnection, connect

from tests.server_process import ServerProcess


def collection(**places: float) -> bytes:
    features = [
        {"type": "Feature", "id": id, "geometry": {"type": "Point", "coordinates": [x, 47]}, "properties": {}} for id, x in places.items()
    ]
    return json.dumps({"type": "FeatureCollection", "features": features}).encode()


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("ingested") / "files"
    folder.mkdir()
    return folder


@pytest.fixture(scope="module")
def server(serve: Callable[..., ServerProcess], files: Path) -> ServerProcess:
    return serve(
        GEOSTREAM_FILES_ROOT=str(files),
        GEOSTREAM_FILES_ANONYMOUS="*=list read",
        GEOSTREAM_FILES_SETTLE_SECONDS="0.1",
        GEOSTREAM_SERVER_EVENTS="1",
    )


class Watching:
    """A client on `/ws` that follows events, and layers as they come."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._events: deque[dict[str, Any]] = deque()
        self._features: deque[dict[str, Any]] = deque()
        self._ask(type="subscribe_events", subscription_id="files", event_types=["file_change"])

    def follow(self, layer: str) -> None:
        self._ask(type="subscribe_features", subscription_id=layer, layer=layer)

    def ended(self, path: str) -> dict[str, Any]:
        """The next event about what has become of a file."""
        while True:
            while not self._events:
                self._receive()
            payload: dict[str, Any] = self._events.popleft()["payload"]
            if payload["path"] == path:
                return payload

    def changes(self, count: int) -> dict[str, str]:
        """The next changes of features, by id."""
        while len(self._features) < count:
            self._receive()
        return {each["id"]: each["change_type"] for each in (self._features.popleft() for _ in range(count))}

    def _ask(self, **message: Any) -> None:
        self._socket.send(json.dumps(message))
        while (answer := self._receive())["type"] != "ack":
            pass
        assert answer["success"], answer

    def _receive(self) -> dict[str, Any]:
        message: dict[str, Any] = json.loads(self._socket.recv(20))
        if message["type"] in ("event", "feature_data"):
            (self._events if message["type"] == "event" else self._features).append(message)
        return message


@pytest.fixture
def watching(server: ServerProcess) -> Iterator[Watching]:
    with connect(server.ws_url) as socket:
        yield Watching(socket)


def test_a_file_is_a_layer_from_its_arrival_to_its_end(files: Path, watching: Watching) -> None:
    file = files / "roads.geojson"
    file.write_bytes(collection(a=1, b=2, c=3))
    ready = watching.ended("roads.geojson")
    assert (ready["status"], ready["layer"], ready["bbox"]) == ("ready", "roads", [1, 47, 3, 47])
    watching.follow("roads")
    assert watching.changes(3) == {"a": "added", "b": "added", "c": "added"}

    file.write_bytes(collection(a=1, b=2.5, d=4))
    assert watching.ended("roads.geojson")["action"] == "update"
    assert watching.changes(3) == {"c": "deleted", "b": "updated", "d": "added"}

    file.write_bytes(collection(a=9)[:-5])
    assert watching.ended("roads.geojson")["status"] == "failed"

    file.unlink()
    assert watching.ended("roads.geojson")["action"] == "delete"
    assert watching.changes(3) == {"a": "deleted", "b": "deleted", "d": "deleted"}  # so the broken one has changed nothing
