"""Large transfers beside the rounds: which paths are held, and when a transfer is given up."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from streaming.client.sync import large_transfers
from streaming.client.sync.large_transfers import LargeTransfers
from streaming.client.sync.plan import Content, Step
from streaming.client.sync.threads import run_to_end

from .test_hostile_server import Client, Server, hash_of

OLD, NEW, OTHER = (Content(letter * 64, 10**9) for letter in "abc")
UPLOAD = Step("upload", "x", NEW, OLD, OLD.hash)
DOWNLOAD = Step("download", "x", OLD, NEW, OLD.hash)


class Slow:
    """Transfers that end when they are told to."""

    def __init__(self) -> None:
        self.go_on = asyncio.Event()
        self.began: list[str] = []
        self.ended: list[str] = []

    async def transfer(self, step: Step) -> None:
        self.began.append(step.path)
        await self.go_on.wait()
        self.ended.append(step.path)


async def test_a_path_is_held_until_its_transfer_ends() -> None:
    slow = Slow()
    async with asyncio.TaskGroup() as tasks:
        large = LargeTransfers(slow.transfer, 1, tasks)
        large.begin(UPLOAD)
        assert large.held == {"x"}
        slow.go_on.set()
    assert not large.held and slow.ended == ["x"]


async def test_no_more_go_on_at_once_than_may() -> None:
    slow = Slow()
    async with asyncio.TaskGroup() as tasks:
        large = LargeTransfers(slow.transfer, 2, tasks)
        for path in "xyz":
            large.begin(replace(UPLOAD, path=path))
        while len(slow.began) < 2:
            await asyncio.sleep(0)
        assert slow.began == ["x", "y"] and large.held == {"x", "y", "z"}
        slow.go_on.set()
    assert slow.ended == ["x", "y", "z"]


@pytest.mark.parametrize(
    ("step", "local", "remote", "ends"),
    [
        (UPLOAD, NEW, OLD, False),
        (UPLOAD, NEW, NEW, False),  # it has arrived
        (UPLOAD, OTHER, OLD, True),
        (UPLOAD, None, OLD, True),
        (UPLOAD, NEW, OTHER, True),
        (UPLOAD, NEW, None, True),
        (DOWNLOAD, OLD, NEW, False),
        (DOWNLOAD, NEW, NEW, False),
        (DOWNLOAD, OTHER, NEW, True),
        (DOWNLOAD, OLD, OTHER, True),
        (DOWNLOAD, OLD, None, True),
    ],
)
async def test_a_transfer_ends_when_a_side_has_changed(step: Step, local: Content | None, remote: Content | None, ends: bool) -> None:
    slow = Slow()
    async with asyncio.TaskGroup() as tasks:
        large = LargeTransfers(slow.transfer, 1, tasks)
        large.begin(step)
        for waiting in ("y", "z"):  # one of which the round is about, one not
            large.begin(replace(step, path=waiting))
        sides = (dict.fromkeys("xy", content) if content else {} for content in (local, remote))
        assert await large.cancel_outdated(*sides, {"x", "y"}.__contains__) == ({"x", "y"} if ends else set())
        assert large.held == ({"z"} if ends else {"x", "y", "z"})
        slow.go_on.set()
    assert slow.ended == (["z"] if ends else ["x", "y", "z"])


async def test_a_round_does_not_wait_for_a_large_file_and_its_new_version_takes_the_place_of_its_transfer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(large_transfers, "LARGE_BYTES", 5)
    server = Server(small="s", large="large 1")
    asked, go_on = asyncio.Event(), asyncio.Event()

    async def answer(request: httpx.Request) -> httpx.Response:
        if request.url.params.get("path") == "large" and not go_on.is_set():
            asked.set()
            await go_on.wait()
        return server(request)

    client = Client(tmp_path, server)
    client.remote._http = httpx.AsyncClient(transport=httpx.MockTransport(answer))
    async with asyncio.TaskGroup() as tasks:
        rounds = client.client._rounds
        rounds.large = LargeTransfers(client.client._transfer, 1, tasks)
        await client.sync()
        await asked.wait()
        assert client.tree() == {"small": "s"} and rounds.large.held == {"large"}
        assert (await rounds.run()).changed == set() and rounds.large.held == {"large"}
        rounds.remote_contents["large"] = Content(hash_of("large 2"), 7)
        assert (await rounds.run()).changed == {"large"} and not rounds.large.held
        server.files["large"] = "large 2"
        go_on.set()
        await rounds.run()
    assert client.tree() == server.files
    client.close()


async def test_who_is_cancelled_waits_for_the_thread_that_works_with_the_file() -> None:
    began, go_on, ended = (threading.Event() for _ in range(3))

    def write() -> None:
        began.set()
        go_on.wait()
        ended.set()

    task = asyncio.create_task(run_to_end(write))
    await asyncio.to_thread(began.wait)
    task.cancel()
    await asyncio.sleep(0)
    assert not task.done()
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended.is_set()
