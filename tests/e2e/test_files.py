"""Two servers with one folder: what one of them takes, clients of the other are told; kills lose nothing that was answered."""

from __future__ import annotations

import http.client
import json
import os
import socket
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from tests.files import strict_peer
from tests.server_process import ServerProcess

Pair = tuple[ServerProcess, ServerProcess]
TUS = {"Tus-Resumable": "1.0.0"}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("shared") / "files"


@pytest.fixture(scope="module")
def pair(serve: Callable[..., ServerProcess], files: Path) -> Iterator[Pair]:
    options = {
        "GEOSTREAM_FILES_ROOT": str(files),
        "GEOSTREAM_FILES_ANONYMOUS": "*=list read write delete",
        "GEOSTREAM_FILES_FREE_BYTES": "0",
        "GEOSTREAM_FILES_SETTLE_SECONDS": "0.1",
        "GEOSTREAM_FILES_STALE_SECONDS": "2",
        "GEOSTREAM_FILES_RESCAN_SECONDS": "2",
    }
    yield serve(**options), serve(**options)


def request(server: ServerProcess, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, dict[str, str], bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    try:
        connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
        answer = connection.getresponse()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
    finally:
        connection.close()


@contextmanager
def subscribed(server: ServerProcess, client_id: str, **more: Any) -> Iterator[tuple[ClientConnection, dict[str, Any]]]:
    """A client, and the answer to its subscription."""
    with connect(f"{server.ws_url}/files") as peer:
        peer.send(json.dumps({"type": "Subscribe", "client_id": client_id, **more}))
        yield peer, receive(peer)


def receive(peer: ClientConnection) -> Any:
    text = peer.recv(timeout=10)
    assert isinstance(text, str)
    strict_peer.decode(text)
    return json.loads(text)


def test_what_one_server_takes_clients_of_the_other_are_told(pair: Pair) -> None:
    one, other = pair
    with subscribed(other, "a", features=["seq"]) as (peer, _):
        assert request(one, "PUT", "/api/upload?path=maps/a.txt", b"hello", X_Client_Id="b")[0] == 201
        message = receive(peer)
        assert (message["operation"]["Create"]["metadata"]["path"], message["source_client"]) == ("maps/a.txt", "b")
        assert request(other, "GET", "/api/download?path=maps/a.txt")[2] == b"hello"
        assert request(other, "DELETE", "/api/delete?path=maps/a.txt")[0] == 204
        assert receive(peer)["operation"] == {"Delete": {"path": "maps/a.txt"}}


def test_what_a_program_writes_is_told_whoever_watches(pair: Pair, files: Path) -> None:
    with subscribed(pair[0], "c0") as (first, _), subscribed(pair[1], "c1") as (second, _):
        (files / "outside.txt").write_text("x")
        for peer in (first, second):
            assert receive(peer)["operation"]["Create"]["metadata"]["path"] == "outside.txt"


def test_a_client_that_moved_to_another_server_is_replaced_there(pair: Pair) -> None:
    with subscribed(pair[0], "wanderer") as (first, _), subscribed(pair[1], "wanderer"):
        assert receive(first)["code"] == "replaced"
        with pytest.raises(ConnectionClosed) as closed:
            first.recv(timeout=10)
        assert closed.value.rcvd is not None and closed.value.rcvd.code == 4409


def test_a_silent_client_is_closed(pair: Pair) -> None:
    """Though its WebSocket library answers pings."""
    with subscribed(pair[0], "silent") as (peer, _), pytest.raises(ConnectionClosed) as closed:
        peer.recv(timeout=20)
    assert closed.value.rcvd is not None and closed.value.rcvd.code == 4408


def test_a_body_that_is_too_large_is_refused_before_it_is_sent(pair: Pair) -> None:
    with socket.create_connection(("127.0.0.1", pair[0].port), timeout=10) as raw:
        raw.sendall(b"PUT /api/upload?path=big HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 999999999999\r\n\r\n")
        assert raw.recv(1000).startswith(b"HTTP/1.1 413")


def test_the_socket_answers_a_plain_request(pair: Pair) -> None:
    status, headers, _ = request(pair[0], "GET", "/ws/files")
    assert (status, headers["sec-websocket-version"]) == (426, "13")


def test_an_upload_goes_on_after_a_kill(pair: Pair, files: Path) -> None:
    one, other = pair
    content = os.urandom(3_000_000)
    metadata = "path YWZ0ZXIvYS1raWxs,sha256 " + b64encode(sha256(content).hexdigest().encode()).decode()
    _, created, _ = request(one, "POST", "/api/tus/", None, Upload_Length=str(len(content)), Upload_Metadata=metadata, **TUS)
    url = created["location"]
    with socket.create_connection(("127.0.0.1", one.port), timeout=10) as raw:
        head = f"PATCH {url} HTTP/1.1\r\nHost: 127.0.0.1\r\nTus-Resumable: 1.0.0\r\nUpload-Offset: 0\r\nContent-Length: {len(content)}\r\n"
        raw.sendall(head.encode() + b"Content-Type: application/offset+octet-stream\r\n\r\n" + content[:2_000_000])
        part = files / ".hub-uploads" / f"tus-{url.rpartition('/')[2]}"
        deadline = time.monotonic() + 10
        while part.stat().st_size < 1_000_000:  # it is written a MiB at a time
            assert time.monotonic() < deadline
            time.sleep(0.02)
        one.kill()
    status = 423
    while status == 423:  # the lock of a process that died ends by itself
        status, headers, _ = request(other, "HEAD", url, **TUS)
    offset = int(headers["upload-offset"])
    assert 1_000_000 <= offset <= 2_000_000
    kind = {"Content-Type": "application/offset+octet-stream", "Upload-Offset": str(offset)}
    assert request(other, "PATCH", url, content[offset:], **TUS, **kind)[0] == 204
    assert request(other, "GET", "/api/download?path=after/a-kill")[2] == content


def test_a_client_that_comes_back_is_told_what_it_missed(pair: Pair) -> None:
    one, other = pair
    with subscribed(other, "traveller", features=["seq"]) as (_, ack):
        pass
    for number in range(20):
        assert request(other, "PUT", f"/api/upload?path=missed/{number:02}", b"%d" % number)[0] == 201
    one.kill()
    one.start()
    with subscribed(one, "traveller", features=["seq"], since=ack["seq"]) as (peer, again):
        assert again["resync"] is False
        found = [receive(peer) for _ in range(20)]
    assert [each["operation"]["Create"]["metadata"]["path"] for each in found] == [f"missed/{number:02}" for number in range(20)]
    assert [each["seq"] for each in found] == list(range(ack["seq"] + 1, again["seq"] + 1))
