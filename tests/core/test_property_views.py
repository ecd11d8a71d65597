"""The one property that everything else serves: what a client received, applied to what it held, is what a fresh client is shown.

Clients speak the JSON encoding to real sessions over a socket whose readiness the test decides; two hubs follow a real Redis and only
ever look when told to, as if every doorbell were lost. Clients follow the protocol's rules for cursors, and nothing but these rules, when
they resume. Kinds are checked too: only a resume may tell what is known already.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest
from django.contrib.auth.models import AnonymousUser
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from streaming.core import throttle as throttle_module
from streaming.core import view as view_module
from streaming.core.feed import FeedOptions
from streaming.core.hub import Hub
from streaming.core.limits import OutboxLimits
from streaming.core.merge_patch import merged
from streaming.core.outbox import Outbox
from streaming.core.redis import close_async_redis, sync_redis
from streaming.dialects.geo import session as session_module
from streaming.dialects.geo.session import GeoSession
from streaming.engine.catalogue import Catalogue
from streaming.engine.senders import ASGI
from streaming.features.geojson import parse_feature
from streaming.features.layers import LayerSettings, catalogue, layer_feed
from tests.core.doubles import OneProcessLayer
from tests.profiles import examples

OPTIONS = FeedOptions(log_length=1000, ttl_seconds=3600)
LAYERS = {name: LayerSettings(name, name, True, "", "at", OPTIONS) for name in ("a", "b")}
IDS: list[Any] = ["p", "q", "r", 7]

_SQUARE = [[-1.0, -1.0], [3.0, -1.0], [3.0, 3.0], [-1.0, 3.0], [-1.0, -1.0]]
GEOMETRIES: list[Any] = [
    {"type": "Point", "coordinates": [0.5, 0.5]},
    {"type": "Point", "coordinates": [179.5, 0.0]},
    {"type": "Point", "coordinates": [-179.5, 0.0]},
    {"type": "Point", "coordinates": [2.0, 0.2]},
    {"type": "Polygon", "coordinates": [_SQUARE]},
    None,
]
PROPERTIES: list[dict[str, Any]] = [
    {"kind": "x", "at": "2020-01-01T00:00:00Z"},
    {"kind": "y", "at": "2021-01-01T00:00:00Z"},
    {"kind": "x", "at": "2022-01-01T00:00:00Z"},
]
EVERYTHING: dict[str, Any] = {
    "bbox": None,
    "geometry": None,
    "filters": None,
    "datetime": None,
    "properties": None,
    "crs": None,
    "max_rate": None,
}
VIEWS: list[dict[str, Any]] = [
    {},
    {"bbox": [0, 0, 1, 1]},
    {"bbox": [179, -1, -179, 1]},
    {"geometry": {"type": "Polygon", "coordinates": [[[0, 0], [3, 0], [0, 3], [0, 0]]]}},
    {"filters": [["kind", "x"]]},
    {"datetime": "2020-06-01T00:00:00Z/.."},
    {"filters": [["kind", "y"]], "bbox": [-180, -90, 180, 90]},
    {"properties": ["at"]},
    {"max_rate": 2},
    {"max_rate": 2, "filters": [["kind", "x"]]},
]


class Socket:
    """A sender that takes `budget` writes (None: any number); what it took is on its way to the client."""

    framing = ASGI

    def __init__(self) -> None:
        self.budget: int | None = None
        self.on_its_way: list[str] = []
        self.on_writable = lambda: None

    @property
    def writable(self) -> bool:
        return self.budget is None or self.budget > 0

    def write(self, frames: list[str]) -> None:
        assert self.writable
        if self.budget is not None:
            self.budget -= 1
        self.on_its_way += frames

    def take(self, writes: int | None) -> None:
        self.budget = writes
        if self.writable:
            self.on_writable()


@dataclass
class Client:
    """A client that believes what it is told, and checks what it can."""

    layer: str | None
    batch: bool
    view: dict[str, Any]
    delta: bool = False
    held: dict[tuple[str, str], Any] = field(default_factory=dict)
    versions: dict[tuple[str, str], str] = field(default_factory=dict)
    deltas: int = 0
    cursors: dict[str, str] = field(default_factory=dict)
    promised: dict[str, str] = field(default_factory=dict)
    outstanding: int = 0
    resuming: bool = False
    asked: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    def connect(self, hub: Hub) -> None:
        self.socket = Socket()
        outbox = Outbox(self.socket, OutboxLimits(write_bytes=300), lambda why: pytest.fail(why))
        connection: Any = SimpleNamespace(
            outbox=outbox,
            sender=self.socket,
            runtime=self.runtime_of(hub),
            principal=SimpleNamespace(user=AnonymousUser()),
            address="127.0.0.1",
            close=lambda code, reason: pytest.fail(reason),
        )
        self.session = GeoSession(connection)
        self.outstanding = 0
        self.promised = {}
        self.asked = []

    def runtime_of(self, hub: Hub) -> Any:
        return SimpleNamespace(hub=hub)

    async def subscribe(self, resume: bool) -> None:
        cursors = self.cursors if resume else {}
        self.held = {key: feature for key, feature in self.held.items() if key[0] in cursors}
        message = {"type": "subscribe_features", "subscription_id": "s", "layer": self.layer, "batch": self.batch, **self.view}
        if self.delta:
            message["delta"] = ["merge-patch"]
        if cursors:
            message["cursor"] = cursors if self.layer is None else cursors[self.layer]
        self.asked.append(("subscribe", dict(cursors)))
        await self.session.receive(json.dumps(message))

    async def move(self, view: dict[str, Any]) -> None:
        self.view = view
        self.cursors = {}
        self.asked.append(("update", {}))
        await self.session.receive(json.dumps({"type": "update_subscription", "subscription_id": "s", **EVERYTHING, **view}))

    def receive(self, count: int | None = None) -> None:
        """Read some or all of what has arrived."""
        count = len(self.socket.on_its_way) if count is None else count
        arrived, self.socket.on_its_way = self.socket.on_its_way[:count], self.socket.on_its_way[count:]
        for frame in arrived:
            message = json.loads(frame)
            if message["type"] == "ack":
                self._acknowledged(message)
            else:
                self._told(message)

    def _acknowledged(self, ack: dict[str, Any]) -> None:
        assert ack["success"], ack
        assert self.outstanding == 0, "an ack between the parts of a snapshot"
        kind, given = self.asked.pop(0)
        if given and not ack["recovered"]:
            self.held, self.cursors = {}, {}
        self.resuming = kind == "subscribe" and bool(given)
        cursor = ack["cursor"]
        self.promised = cursor if isinstance(cursor, dict) else {self.layer or "": cursor}
        self.outstanding = ack["snapshot_count"]
        self._settle()

    def _settle(self) -> None:
        if self.outstanding == 0 and self.promised:
            if not any(kind == "update" for kind, _ in self.asked):
                self.cursors.update(self.promised)
            self.promised = {}
            self.resuming = False

    def _told(self, message: dict[str, Any]) -> None:
        geojson = json.loads(message["geojson"])
        features = geojson["features"] if geojson.get("type") == "FeatureCollection" else [geojson]
        for at, feature in enumerate(features):
            version, base = (_of(message.get(name), at) for name in ("version", "base_version"))
            assert (version is not None) == (self.delta and message["change_type"] != "deleted")
            if base is not None:
                feature = self._patched(message, feature, base)
            self._apply(message["layer"], message["change_type"], feature, version)
        if message["cursor"] is not None and not any(kind == "update" for kind, _ in self.asked):
            self.cursors[message["layer"]] = message["cursor"]
        if self.promised:
            self.outstanding -= len(features)
            assert self.outstanding >= 0
            if message["cursor"] is not None:
                assert message["cursor"] == self.promised[message["layer"]]
            if self.outstanding == 0:
                assert message["cursor"] is not None
            self._settle()

    def _patched(self, message: dict[str, Any], patch: dict[str, Any], base: str) -> dict[str, Any]:
        """What an update has changed is told against what the client holds, always."""
        key = (message["layer"], json.dumps(message["id"] if message["id"] is not None else patch["id"]))
        assert (message["encoding"], message["change_type"], base) == ("merge-patch", "updated", self.versions[key])
        self.deltas += 1
        patched: dict[str, Any] = merged(self.held[key], patch)
        return patched

    def _apply(self, layer: str, change: str, feature: dict[str, Any], version: str | None) -> None:
        key = (layer, json.dumps(feature["id"]))
        if not self.resuming:
            assert (key in self.held) == (change != "added"), f"{change} {key}, held: {list(self.held)}"
        if change == "deleted":
            self.held.pop(key, None)
        else:
            self.held[key] = feature
            if version is not None:
                self.versions[key] = version


def _of(value: Any, at: int) -> Any:
    """The value of one feature: in a batch there is a list of them."""
    return value[at] if isinstance(value, list) else value


class World:
    """Two hubs, two feeds, two clients, and what can happen to them."""

    views = VIEWS

    def __init__(self, clients: list[Client], clock: SimpleNamespace) -> None:
        sync_redis().flushdb()
        self.hubs = [Hub(OneProcessLayer) for _ in range(2)]  # which never start, and so hear nothing
        self.feeds = {name: layer_feed(layer) for name, layer in LAYERS.items()}
        self.clients = clients
        self.clock = clock
        self.saved: dict[str, list[Any]] = {}

    async def run(self, steps: list[tuple[Any, ...]]) -> None:
        for index, client in enumerate(self.clients):
            client.connect(self.hubs[index % 2])
            await client.subscribe(resume=False)
            client.receive()
        for name, *arguments in steps:
            await getattr(self, name)(*arguments)
        await self.settle()
        for client in self.clients:
            fresh = type(client)(client.layer, False, {**client.view, "max_rate": None})
            fresh.connect(Hub(OneProcessLayer))
            await fresh.subscribe(resume=False)
            fresh.receive()
            assert client.outstanding == 0 and not client.asked
            assert client.held == fresh.held
        for hub in self.hubs:
            hub.releases.stop()  # its timer is on a loop that others use

    async def settle(self) -> None:
        for hub in self.hubs:
            await self._look(hub)
            while len(hub.turns):  # costly filters that had no time yet
                await asyncio.sleep(0)
        self.clock.now += 10
        for client in self.clients:
            client.socket.take(None)
        self._release()
        for client in self.clients:
            assert not client.session.outbox.messages
            client.receive()

    async def publish(self, layer: str, items: list[tuple[int, int, int]]) -> None:
        await self.put(layer, items)
        for hub in self.hubs:
            await self._look(hub)

    async def put(self, layer: str, items: list[tuple[int, int, int]]) -> None:
        features = [
            {"type": "Feature", "id": IDS[one], "geometry": GEOMETRIES[place], "properties": PROPERTIES[looks]}
            for one, place, looks in items
        ]
        self.feeds[layer].put_sync([parse_feature(feature) for feature in features])

    async def delete(self, layer: str, one: int) -> None:
        self.feeds[layer].delete_sync([json.dumps(IDS[one])])

    async def expire(self, layer: str, one: int) -> None:
        feed, key = self.feeds[layer], json.dumps(IDS[one])
        if sync_redis().zscore(feed.keys[3], key) is not None:
            sync_redis().zadd(feed.keys[3], {key: 0})
            await feed.expire()

    async def trim(self, layer: str, length: int) -> None:
        sync_redis().xtrim(self.feeds[layer].log_key, length, approximate=False)

    async def renew(self, layer: str) -> None:
        epoch: Any = sync_redis().hget(self.feeds[layer].meta_key, "epoch")
        if epoch:
            await self.feeds[layer].renew(epoch.decode())

    async def drop(self, layer: str) -> None:
        self.feeds[layer].drop_sync()

    async def save(self, layer: str) -> None:
        self.saved[layer] = [sync_redis().dump(key) for key in self.feeds[layer].keys]

    async def go_back(self, layer: str, items: list[tuple[int, int, int]]) -> None:
        """Redis lost the end of what it had, and perhaps as much or more was stored since, before the hubs look."""
        if layer not in self.saved or self.saved[layer][2] is None:
            return
        for key, dump in zip(self.feeds[layer].keys, self.saved.pop(layer), strict=True):
            sync_redis().delete(key)
            if dump is not None:
                sync_redis().restore(key, 0, dump)
        await self.put(layer, items)
        for hub in self.hubs:
            await self._look(hub)

    async def look(self, hub: int) -> None:
        await self._look(self.hubs[hub])

    async def stall(self, client: int) -> None:
        self.clients[client].socket.take(0)

    async def trickle(self, client: int, writes: int) -> None:
        self.clients[client].socket.take(writes)

    async def flow(self, client: int) -> None:
        self.clients[client].socket.take(None)

    async def read(self, client: int, count: int) -> None:
        self.clients[client].receive(count)

    async def move(self, client: int, view: int) -> None:
        await self.clients[client].move(self.views[view % len(self.views)])

    async def resume(self, client: int, hub: int, received: int | None) -> None:
        self.clients[client].receive(received)
        self.clients[client].session.close()
        self.clients[client].connect(self.hubs[hub])
        await self.clients[client].subscribe(resume=True)

    async def wait(self, seconds: float) -> None:
        self.clock.now += seconds
        self._release()

    async def _look(self, hub: Hub) -> None:
        for follower in list(hub.followers.values()):
            await hub.refresh(follower)

    def _release(self) -> None:
        for hub in self.hubs:
            hub.releases.release(self.clock.now)


def steps_of_worlds() -> st.SearchStrategy[list[tuple[Any, ...]]]:
    layer = st.sampled_from(["a", "a", "a", "b"])
    one = st.sampled_from([0, 0, 0, 0, 1, 1, 2, 3])
    item = st.tuples(one, st.sampled_from([0, 0, 3, 3, *range(len(GEOMETRIES))]), st.sampled_from(range(len(PROPERTIES))))
    client = st.sampled_from([0, 0, 1])
    hub = st.integers(0, 1)
    items = st.lists(item, min_size=1, max_size=3)
    often = [
        *[st.tuples(st.just("publish"), layer, items)] * 8,
        *[st.tuples(st.just("put"), layer, items)] * 2,
        st.tuples(st.just("look"), hub),
        *[st.tuples(st.just("read"), client, st.integers(1, 4))] * 2,
        *[st.tuples(st.just("stall"), client)] * 2,
        *[st.tuples(st.just("trickle"), client, st.integers(1, 3))] * 2,
        *[st.tuples(st.just("resume"), client, hub, st.sampled_from([0, 1, 2, None]))] * 3,
    ]
    seldom = [
        st.tuples(st.just("flow"), client),
        st.tuples(st.just("move"), client, st.integers(0, len(VIEWS) - 1)),
        st.tuples(st.just("wait"), st.sampled_from([0.1, 0.6])),
        st.tuples(st.just("delete"), layer, one),
        st.tuples(st.just("expire"), layer, one),
    ]
    faults = [
        st.tuples(st.just("trim"), layer, st.integers(1, 3)),
        st.tuples(st.just("renew"), layer),
        st.tuples(st.just("drop"), layer),
        st.tuples(st.just("save"), layer),
        st.tuples(st.just("go_back"), layer, st.lists(item, max_size=4)),
    ]
    return st.lists(st.sampled_from([*often, *seldom, *[st.one_of(*faults)] * 3]).flatmap(lambda step: step), min_size=25, max_size=50)


def _clients() -> st.SearchStrategy[list[Client]]:
    one = st.builds(Client, st.sampled_from(["a", "a", None]), st.booleans(), st.sampled_from([VIEWS[1]] * 4 + VIEWS), st.booleans())
    return st.lists(one, min_size=2, max_size=2)


@pytest.fixture
def loop() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as runner:
        yield runner
        runner.run(close_async_redis())


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch, redis: None) -> SimpleNamespace:
    """The throttles' clock; layers need no database."""
    clock = SimpleNamespace(now=1000.0)
    clock.monotonic = lambda: clock.now
    for module in (throttle_module, view_module):
        monkeypatch.setattr(module, "time", clock)
    monkeypatch.setattr(session_module, "START_SECONDS", 60.0)  # a subscription has begun when its request is handled, however busy it is
    monkeypatch.setattr(Catalogue, "_fresh", True)
    monkeypatch.setattr(catalogue, "_rows", LAYERS)
    return clock


@settings(max_examples=examples(50, long=400), suppress_health_check=list(HealthCheck))
@given(clients=_clients(), steps=steps_of_worlds())
def test_what_clients_were_told_is_what_there_is(
    loop: asyncio.Runner, clock: SimpleNamespace, clients: list[Client], steps: list[tuple[Any, ...]]
) -> None:
    loop.run(World(clients, clock).run(steps))
