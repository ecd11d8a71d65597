"""In a large room only the number is told, and lists again when it has become small."""

from __future__ import annotations

import time
from typing import Any

import pytest

from streaming.topics import presence_room

from .presence_scene import TOPIC, Client, Process, settled, until, written


@pytest.fixture(autouse=True)
def small(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Six are a crowd, fewer than four are not."""
    settings.GEOSTREAM_PRESENCE_LIST = 5
    monkeypatch.setattr(presence_room, "COUNT_SECONDS", 0.2)


async def crowd(here: Process, there: Process) -> list[Client]:
    clients = [process.join(f"user {n}") for n in range(3) for process in (here, there)]
    await until(lambda: all(client.heard("presence_count")[-1:] == [{"count": 6}] for client in clients))
    return clients


async def test_those_who_were_listed_are_told_the_number_instead(here: Process, there: Process) -> None:
    alice = here.join("alice")
    await until(lambda: "presence_diff" in alice.events)
    for n in range(5):
        there.join(f"user {n}")
    await until(lambda: alice.heard("presence_count") == [{"count": 6}])
    assert alice.heard("presence_state")[-1] == {}
    assert alice.picture == {}


async def test_as_many_as_are_listed_are_no_crowd(here: Process) -> None:
    clients = [here.join(f"user {n}") for n in range(5)]
    await until(lambda: all(len(client.picture) == 5 for client in clients))
    await settled(here)
    assert [client.heard("presence_count") for client in clients] == [[]] * 5
    assert [len(client.picture) for client in clients] == [5] * 5


async def test_who_joins_a_crowd_is_given_an_empty_state_and_the_number(here: Process, there: Process) -> None:
    await crowd(here, there)
    late = here.join("late")
    await until(lambda: late.told)
    assert [told[:2] for told in late.told[:2]] == [("presence_state", {}), ("presence_count", {"count": 7})]


async def test_the_number_is_told_at_most_so_often(here: Process, there: Process) -> None:
    watching = (await crowd(here, there))[0]
    await settled(here)
    told = len(watching.told)
    started = time.monotonic()
    for n in range(20):
        there.join(f"more {n}")
        await written(there)
        await until(lambda: watching_count(here) == 7 + n)  # noqa: B023
    await until(lambda: watching.heard("presence_count")[-1] == {"count": 26})
    assert len(watching.told) - told <= 1 + (time.monotonic() - started) / 0.2


def watching_count(process: Process) -> int:
    """How many members the process knows of."""
    return len(process.presence._topics[TOPIC]._items)


async def test_a_crowd_that_has_gone_is_listed_again(here: Process, there: Process) -> None:
    clients = await crowd(here, there)
    for client in clients[2:]:
        client.leave()
    await until(lambda: set(clients[0].picture) == {"user 0"})
    await until(lambda: [len(client.picture.get("user 0", ())) for client in clients[:2]] == [2, 2])
    late = here.join("late")
    await until(lambda: set(clients[0].picture) == set(clients[1].picture) == set(late.picture) == {"user 0", "late"})


async def test_a_little_fewer_are_still_a_crowd(here: Process, there: Process) -> None:
    clients = await crowd(here, there)
    clients[5].leave()
    clients[4].leave()
    await until(lambda: clients[0].heard("presence_count")[-1] == {"count": 4})
    assert clients[0].picture == {}


async def test_a_channel_that_counts_is_told_numbers_from_the_beginning(here: Process) -> None:
    lister, counter = here.join("lister"), here.join("counter", counting=True)
    await until(lambda: counter.heard("presence_count"))
    here.join("third")
    await until(lambda: counter.heard("presence_count")[-1] == {"count": 3})
    await until(lambda: len(lister.picture) == 3)
    assert counter.events[0] == "presence_state"
    assert counter.picture == {}
    assert "presence_diff" not in counter.events


async def test_nothing_is_told_while_the_number_stays(here: Process, there: Process) -> None:
    clients = await crowd(here, there)
    await settled(here, there)
    told = [len(client.told) for client in clients]
    clients[0].update(status="away")
    await settled(here, there)
    assert [len(client.told) for client in clients] == told
