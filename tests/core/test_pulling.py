"""A node of a cluster that does not answer holds up no log of others, and what it answers late is not lost."""

from __future__ import annotations

import asyncio
from collections import defaultdict

import pytest

from streaming.core import pulling
from streaming.core.errors import StreamError
from streaming.core.feed import Feed
from streaming.core.pulling import NotAnsweredYet, Pulled, Puller
from streaming.core.redis_address import ClusterAddress

QUICK, SLOW = Feed("layer:quick"), Feed("layer:slow")
NOTHING = Pulled([b"e", b"0"], [])


class Nodes:
    """Of which that of `SLOW` answers when it is told to."""

    def __init__(self) -> None:
        self.pulls: defaultdict[str, int] = defaultdict(int)
        self.answers = asyncio.Event()
        self.error: StreamError | None = None

    async def pull_one(self, feed: Feed, seq: int, count: int) -> Pulled:
        self.pulls[feed.name] += 1
        if feed is SLOW:
            await self.answers.wait()
            if self.error is not None:
                raise self.error
        return NOTHING


@pytest.fixture
def nodes(monkeypatch: pytest.MonkeyPatch) -> Nodes:
    nodes = Nodes()
    monkeypatch.setattr(pulling, "_pull_one", nodes.pull_one)
    monkeypatch.setattr(pulling, "cluster_address", lambda: ClusterAddress((), {}, False))
    monkeypatch.setattr(pulling, "LATE_SECONDS", 0.01)
    return nodes


async def test_who_is_late_is_not_waited_for_and_not_asked_twice(nodes: Nodes) -> None:
    puller = Puller()
    for _ in range(3):
        assert await puller.pull([(SLOW, 0), (QUICK, 0)], 10) == [None, NOTHING]
    assert nodes.pulls == {SLOW.name: 1, QUICK.name: 3}
    puller.stop()


async def test_what_comes_late_is_marked_and_then_read_anew(nodes: Nodes) -> None:
    puller = Puller()
    await puller.pull([(SLOW, 0), (QUICK, 0)], 10)
    nodes.answers.set()
    assert await puller.pull([(SLOW, 0)], 10) == [NOTHING._replace(late=True)]
    assert await puller.pull([(SLOW, 0)], 10) == [NOTHING]


async def test_what_was_read_from_another_place_is_read_anew(nodes: Nodes) -> None:
    puller = Puller()
    await puller.pull([(SLOW, 0), (QUICK, 0)], 10)
    nodes.answers.set()
    await asyncio.sleep(0)
    assert await puller.pull([(SLOW, 7)], 10) == [NOTHING]
    assert nodes.pulls[SLOW.name] == 2


async def test_one_that_fails_fails_alone_and_all_that_fail_say_why(nodes: Nodes) -> None:
    puller = Puller()
    nodes.answers.set()
    nodes.error = StreamError("redis_unavailable", "gone")
    assert await puller.pull([(SLOW, 0), (QUICK, 0)], 10) == [None, NOTHING]
    with pytest.raises(StreamError, match="gone"):
        await puller.pull([(SLOW, 0)], 10)


async def test_one_that_is_late_alone_is_said_to_be(nodes: Nodes) -> None:
    puller = Puller()
    with pytest.raises(NotAnsweredYet):
        await puller.pull([(SLOW, 0)], 10)
    nodes.answers.set()
    assert await puller.pull([(SLOW, 0)], 10) == [NOTHING._replace(late=True)]
    puller.stop()
