"""Who lives renews; who does not is swept by the others, once nothing is left forgotten, and may come back."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from streaming.core.errors import StreamError
from streaming.core.leases import NODE_KEY, NODES, Leases, Sweep
from streaming.core.redis import close_async_redis, sync_redis


@pytest.fixture
async def here(redis: None) -> AsyncIterator[Leases]:
    leases = Leases("here")
    await leases.renew()
    yield leases
    await close_async_redis()


@pytest.fixture
async def there(here: Leases) -> Leases:
    """Another process."""
    leases = Leases("there")
    await leases.renew()
    return leases


def lapse(leases: Leases) -> None:
    sync_redis().delete(NODE_KEY + leases.node)


def nodes() -> set[bytes]:
    found = sync_redis().smembers(NODES)
    assert isinstance(found, set)
    return found


async def test_who_renews_lives(here: Leases, there: Leases) -> None:
    assert await here.dead() == []
    assert await here.silent(["here", "there", "never seen"]) == ["never seen"]


async def test_a_lease_runs_out_by_itself(here: Leases) -> None:
    await Leases("brief", 0.5).renew()
    assert 0 < sync_redis().pttl(NODE_KEY + "brief") <= 500
    sync_redis().pexpire(NODE_KEY + "brief", 1)
    while sync_redis().exists(NODE_KEY + "brief"):
        pass
    assert await here.dead() == ["brief"]


async def test_it_is_renewed_four_times_in_its_life(here: Leases) -> None:
    (renewing, renew), (sweeping, sweep) = Leases("brief", 1.0).jobs
    assert (renewing, sweeping) == (0.25, 1.0)
    assert (renew.__name__, sweep.__name__) == ("renew", "sweep")


async def test_the_dead_are_swept_and_forgotten(here: Leases, there: Leases) -> None:
    swept: list[str] = []
    here.on_dead(noting(swept))
    lapse(there)
    await here.sweep()
    await here.sweep()
    assert swept == ["there"]
    assert nodes() == {b"here"}


async def test_the_living_are_not_swept(here: Leases, there: Leases) -> None:
    swept: list[str] = []
    here.on_dead(noting(swept))
    lapse(here)  # a process does not sweep itself
    await here.sweep()
    assert swept == []


async def test_what_could_not_be_swept_is_swept_later(here: Leases, there: Leases, caplog: pytest.LogCaptureFixture) -> None:
    swept: list[str] = []
    failures: list[Exception] = [StreamError("redis_unavailable", "away"), ValueError("broken")]

    async def sweep(node: str) -> None:
        if failures:
            raise failures.pop(0)
        swept.append(node)

    here.on_dead(sweep)
    lapse(there)
    for _ in range(4):
        await here.sweep()
    assert swept == ["there"]
    assert [record.levelname for record in caplog.records] == ["WARNING", "ERROR"]


async def test_one_that_cannot_be_swept_does_not_keep_the_others(here: Leases, there: Leases) -> None:
    swept: list[str] = []

    async def sweep(node: str) -> None:
        if node == "there":
            raise StreamError("redis_unavailable", "away")
        swept.append(node)

    here.on_dead(sweep)
    lapse(there)
    for node in ("a", "z"):
        sync_redis().sadd(NODES, node)
    await here.sweep()
    assert sorted(swept) == ["a", "z"]


async def test_a_node_that_owns_something_is_not_forgotten(here: Leases, there: Leases) -> None:
    swept: list[str] = []
    here.on_dead(noting(swept), owned="owned:")
    sync_redis().sadd("owned:there", "something")
    lapse(there)
    await here.sweep()
    assert nodes() == {b"here", b"there"}
    sync_redis().delete("owned:there")
    await here.sweep()
    assert nodes() == {b"here"}
    assert swept == ["there", "there"]


async def test_who_comes_back_while_being_swept_is_not_forgotten(here: Leases, there: Leases) -> None:
    async def sweep(node: str) -> None:
        await there.renew()

    here.on_dead(sweep)
    lapse(there)
    await here.sweep()
    assert nodes() == {b"here", b"there"}
    assert await here.dead() == []


async def test_a_released_lease_is_gone_at_once_and_not_renewed(here: Leases, there: Leases) -> None:
    await there.release()
    await there.renew()
    assert nodes() == {b"here"}
    assert await here.silent(["there"]) == ["there"]


async def test_who_leaves_something_behind_is_swept_at_once(here: Leases, there: Leases) -> None:
    there.on_dead(noting([]), owned="owned:")
    sync_redis().sadd("owned:there", "something")
    await there.release()
    assert await here.dead() == ["there"]


async def test_a_release_does_not_fail_without_redis(here: Leases, no_redis: None) -> None:
    await here.release()
    with pytest.raises(StreamError):
        await Leases("new").renew()


def noting(swept: list[str]) -> Sweep:
    async def sweep(node: str) -> None:
        swept.append(node)

    return sweep
