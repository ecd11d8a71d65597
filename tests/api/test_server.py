"""The API of a whole server: long bodies in little memory, and what is published reaches a WebSocket."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import connect

from tests.conftest import Serve
from tests.geo_peer import point
from tests.server_process import ServerProcess

LINES = 2_000
TEXT = "x" * 20_000
"""Together 40 MB, which would not go into the memory that is allowed."""
MEBIBYTE = 1024 * 1024


def resident(server: ServerProcess) -> int:
    """Bytes of memory the server's process holds, at most so far."""
    status = Path(f"/proc/{server.pid}/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024


def lines(count: int) -> Iterator[bytes]:
    for start in range(0, count, 40):
        yield b"".join(json.dumps(point(i % 200, i % 180, i % 90, n=i, text=TEXT)).encode() + b"\n" for i in range(start, start + 40))


def streamed(server: ServerProcess, body: Iterator[bytes], **headers: str) -> Any:
    """POST a body of unknown length in chunks."""
    connection = HTTPConnection("127.0.0.1", server.port, timeout=120)
    connection.request(
        "POST",
        "/api/layers/long/features",
        body=body,
        headers={"Content-Type": "application/x-ndjson", "Authorization": f"Bearer {server.token}", **headers},
        encode_chunked=True,
    )
    answer = connection.getresponse()
    counts = json.loads(answer.read())
    connection.close()
    assert answer.status == 200, counts
    return counts


@pytest.mark.long_form(only=True)
@pytest.mark.slow
@pytest.mark.parametrize("compressed", [False, True])
def test_a_stream_of_lines_is_never_held_in_memory(serve: Serve, compressed: bool) -> None:
    server = serve(data=f"compressed {compressed}")  # a fresh one: what another has held, it may hold again
    server.publish("long", point(0, 0, 0))
    before = resident(server)
    body = (gzip.compress(piece, 1) for piece in lines(LINES)) if compressed else lines(LINES)
    counts = streamed(server, body, **({"Content-Encoding": "gzip"} if compressed else {}))
    assert counts["added"] + counts["updated"] + counts["unchanged"] == LINES
    assert resident(server) - before < 32 * MEBIBYTE


@pytest.mark.parametrize("slash", ["", "/"])
async def test_what_is_posted_reaches_a_websocket(usual: ServerProcess, slash: str) -> None:
    usual.publish("live", point("a", 1, 1))
    async with connect(usual.ws_url) as socket:
        await socket.send(json.dumps({"type": "subscribe_features", "subscription_id": "s", "layer": "live", "snapshot": False}))
        assert json.loads(await socket.recv())["success"]
        status, counts = usual.post(f"/api/layers/live/features{slash}", point("a", 2, 2))
        assert (status, counts["updated"]) == (200, 1)
        change = json.loads(await socket.recv())
        assert (change["change_type"], change["id"]) == ("updated", "a")


async def test_a_ticket_opens_a_websocket_once(usual: ServerProcess) -> None:
    _, ticket = usual.post("/api/ticket/", None)
    assert ticket["url"].startswith(usual.ws_url)
    async with connect(ticket["url"]) as socket:
        await socket.send(json.dumps({"type": "ping", "id": 1}))
        assert json.loads(await socket.recv()) == {"type": "pong", "id": 1}
    async with connect(ticket["url"]) as socket:
        await socket.wait_closed()
        assert socket.close_code == 4401


def test_a_page_shows_what_was_just_stored(usual: ServerProcess) -> None:
    for number in range(1, 4):
        usual.publish("page", point(number, 1, 1))
        status, page = usual.request("GET", "/api/layers/page/features", token="")
        assert (status, page["numberMatched"]) == (200, number)
