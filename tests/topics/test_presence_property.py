"""The property that presence serves: what members were told adds up to who is there.

Members of two processes come, go, change, and are shown no more; processes are killed and stall; Redis forgets. Each member merges what it
was told as the official client does. When all has settled, every member that is left holds exactly what Redis holds.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from django.test import override_settings
from hypothesis import given, settings
from hypothesis import strategies as st

from streaming.core.leases import NODE_KEY
from streaming.core.redis import close_async_redis, sync_redis
from streaming.topics.presence_store import presence_feed
from tests.profiles import examples

from .presence_scene import TOPIC, Client, Process, settled, written

KEYS = ["alice", "bob", "__proto__"]
_which = st.integers(0, 1)
_who = st.integers(0, 7)
_join = st.tuples(st.just("join"), _which, st.sampled_from(KEYS))
_action = st.one_of(
    _join,
    st.tuples(st.just("update"), _who, st.integers(0, 3)),
    st.tuples(st.just("move"), _who, st.sampled_from(KEYS)),
    st.tuples(st.sampled_from(["leave", "hide"]), _who, st.none()),
    st.tuples(st.sampled_from(["kill", "stall", "flush"]), _which, st.none()),
)
_pause = st.tuples(st.sampled_from(["turn", "write", "read", "tell"]), _which, st.none())
STEPS = st.lists(st.tuples(_action, st.none() | _pause), max_size=20)
"""What happens, and for how long before the next: not at all, a turn of the loop, until it is written, read, or told."""


@pytest.fixture(scope="module", autouse=True)
def quickly(redis_service: object) -> Iterator[None]:
    with override_settings(GEOSTREAM_PRESENCE_BATCH_SECONDS=0.005):
        yield


class World:
    """Two processes and everybody who is connected to them."""

    def __init__(self) -> None:
        self.processes: list[Process] = []
        self.clients: list[Client] = []

    async def start(self) -> None:
        sync_redis().flushall()
        self.processes = [Process(), Process()]
        for process in self.processes:
            await process.start()

    async def do(self, step: str, which: Any, what: Any) -> None:
        if step in {"update", "move", "leave", "hide"}:
            if self.clients:
                self._to(self.clients[which % len(self.clients)], step, what)
        elif step == "flush":
            sync_redis().flushall()
        else:
            await self._in(which, step, what)

    def _to(self, client: Client, step: str, what: Any) -> None:
        presence = client.process.presence
        if step == "update":
            client.update(n=what)
        elif step == "move":
            presence.join(client.member, what, {})
        elif step == "hide":
            presence.leave(client.member)
        else:
            client.leave()
            self.clients.remove(client)

    async def _in(self, which: int, step: str, what: Any) -> None:
        process = self.processes[which]
        if step == "join":
            self.clients.append(process.join(what))
        elif step == "kill":
            await self._kill(which)
        elif step == "stall":
            sync_redis().delete(NODE_KEY + process.hub.node)
            await self.processes[1 - which].leases.sweep()
            await process.leases.renew()
        elif step == "turn":
            await asyncio.sleep(0)
        elif step == "write":
            await written(process)
        elif step == "read":
            for follower in list(process.hub.followers.values()):
                await process.hub.refresh(follower)
        else:
            await settled(process)

    async def _kill(self, which: int) -> None:
        process = self.processes[which]
        self.clients = [client for client in self.clients if client.process is not process]
        await process.die()
        self.processes[which] = Process()
        await self.processes[which].start()
        await self.processes[which].leases.sweep()

    async def settle(self) -> None:
        for _ in range(3):  # to notice what Redis lost, to write it, to tell it
            await settled(*self.processes)

    async def check(self) -> None:
        present = await self.processes[0].presence.members(TOPIC)
        wanted = {tracked.value for process in self.processes for tracked in process.presence.tracked.values()}
        stored = sync_redis().hvals(presence_feed(TOPIC).keys[0])
        assert {value[13:] for value in stored} == wanted  # type: ignore[union-attr]
        for client in self.clients:
            assert told_by(client) == by_key(present), client.told


def by_key(metas: dict[str, list[dict[str, Any]]]) -> dict[str, dict[str, Any]]:
    """Metas by reference; who was told of an update knows the reference before."""
    return {
        key: {meta["phx_ref"]: {name: value for name, value in meta.items() if name != "phx_ref_prev"} for meta in some}
        for key, some in metas.items()
    }


def told_by(client: Client) -> dict[str, dict[str, Any]]:
    picture = client.picture
    for metas in picture.values():
        refs = [meta["phx_ref"] for meta in metas]
        assert len(refs) == len(set(refs))
    return by_key(picture)


async def play(steps: list[Any]) -> None:
    world = World()
    everything: list[Process] = []
    try:
        await world.start()
        for step in steps:
            everything += [process for process in world.processes if process not in everything]
            for what in filter(None, step):
                await world.do(*what)
        await world.settle()
        await world.check()
    finally:
        processes = {*everything, *world.processes}
        for process in processes:
            await process.freeze()
        await asyncio.gather(*(process.hub.stop() for process in processes))  # at once: the first one closes what all of them read with
        await close_async_redis()


@given(STEPS)
@settings(max_examples=examples(25, long=250))
def test_what_members_were_told_adds_up_to_who_is_there(steps: list[Any]) -> None:
    asyncio.run(play(steps))
