"""The queue of ingests: what waits behind others, and that many that wait are not gone through again and again."""

from __future__ import annotations

import asyncio

import pytest

from streaming.ingestion import ingest_queue
from streaming.ingestion.ingest_queue import IngestQueue, Waiting


async def test_a_file_behind_another_one_is_looked_at_after_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ingest_queue, "GATHER_SECONDS", 0.0)
    looked: list[str] = []
    done = asyncio.Event()

    async def look(path: str, waiting: Waiting) -> None:
        await asyncio.sleep(0)
        looked.append(path)
        if len(looked) == 3:
            done.set()

    queue = IngestQueue(look, lambda: True)
    queue.add("old", Waiting(after="new"))
    queue.add("new", Waiting())
    queue.add("other", Waiting())
    async with asyncio.timeout(10):
        await done.wait()
    assert looked.index("new") < looked.index("old") and sorted(looked) == ["new", "old", "other"]
    await queue.stop()
