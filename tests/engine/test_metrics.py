"""Metrics: what they count, that they never go back, and who may read them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from django.contrib.auth.models import User
from django.test import AsyncClient, RequestFactory
from prometheus_client.metrics_core import CounterMetricFamily, Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse

from streaming import apublish
from streaming.core.errors import CloseCode
from streaming.core.leases import NODE_KEY, Leases
from streaming.core.redis import async_redis
from streaming.engine import metrics
from streaming.engine.exposition import METRICS_KEY, Exposition
from streaming.engine.metrics import LOOK_SECONDS, REST_LOOK_SECONDS, WORK_SECONDS, LoopLag, MetricsService
from streaming.engine.registry import all_dialects, all_measures
from streaming.engine.runtime import Runtime
from streaming.engine.views import from_this_machine
from streaming.routing import websocket_urlpatterns
from streaming.topics.messages import TopicMessage
from streaming.topics.service import Topics
from streaming.topics.tokens import mint
from tests.dialects.phoenix.peer import PhoenixPeer
from tests.dialects.redis_commands.peer import RedisPeer
from tests.geo_peer import GeoPeer, point

DOCUMENT = Path(__file__).parents[2] / "docs" / "metrics.md"
ELSEWHERE = {"X-Forwarded-For": "203.0.113.7"}


class Scrape:
    """The samples of an answer, by name and labels; `node` is left out where it is not asked for."""

    def __init__(self, text: str) -> None:
        self.samples = [sample for family in parse(text) for sample in family.samples]

    def __getitem__(self, name: str) -> float:
        return self.of(name)

    def of(self, name: str, **labels: str) -> float:
        values = [sample.value for sample in self.samples if sample.name == name and labels.items() <= sample.labels.items()]
        assert len(values) == 1, (name, labels, values)
        return float(values[0])

    @property
    def nodes(self) -> set[str]:
        return {sample.labels["node"] for sample in self.samples}


async def get(path: str = "/metrics", **headers: str) -> Any:
    return await AsyncClient().get(path, headers=headers)


async def scrape(path: str = "/metrics") -> Scrape:
    answer = await get(path)
    assert answer.status_code == 200, answer.content
    return Scrape(answer.content.decode())


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.005)


@pytest.fixture
async def phoenix(runtime: Runtime) -> AsyncIterator[PhoenixPeer]:
    """A Phoenix client."""
    peer = await PhoenixPeer().connect()
    yield peer
    peer.read_again()
    await peer.close()


# -- what is counted -----------------------------------------------------------


def test_every_metric_is_documented() -> None:
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in DOCUMENT.read_text().splitlines()]
    documented = [cells for cells in lines if len(cells) == 4 and cells[0].startswith("`geostream_")]
    assert documented == [
        [f"`{measure.name}`", measure.kind, ", ".join(f"`{label}`" for label in measure.labels), measure.documentation]
        for measure in all_measures()
    ]


def test_every_dialect_is_counted() -> None:
    connections = [route.callback.consumer_class for route in websocket_urlpatterns]
    sessions = [connection.session_class for connection in connections if hasattr(connection, "session_class")]
    assert set(all_dialects()) == {session.dialect for session in sessions}


async def test_every_metric_has_a_sample_from_the_start(runtime: Runtime) -> None:
    names = {sample.name.removesuffix("_bucket") for sample in (await scrape()).samples}
    assert {measure.name for measure in all_measures()} <= names
    assert {"process_cpu_seconds_total", "process_resident_memory_bytes", "process_open_fds"} <= names


async def test_connections_and_messages_are_counted_by_dialect(geo: Callable[..., GeoPeer], phoenix: PhoenixPeer) -> None:
    await geo().ask(type="ping", id=1)
    assert await phoenix.rest() == [] == await phoenix.rest()
    told = await scrape()
    for dialect, messages in (("geo", 1), ("phoenix", 2)):
        assert told.of("geostream_connections", dialect=dialect) == 1
        assert told.of("geostream_messages_received_total", dialect=dialect) == messages
        assert told.of("geostream_messages_sent_total", dialect=dialect) == messages


async def test_bytes_are_counted_by_dialect_and_stay_when_connections_close(phoenix: PhoenixPeer) -> None:
    frame = '["1","2","phoenix","heartbeat",{}]'
    before = (await scrape()).of("geostream_bytes_received_total", dialect="phoenix")
    await phoenix.ask("1", "2", "phoenix", "heartbeat", {})
    told = await scrape()
    assert len(frame) - 8 <= told.of("geostream_bytes_received_total", dialect="phoenix") - before <= len(frame) + 8
    sent = told.of("geostream_bytes_sent_total", dialect="phoenix")
    await phoenix.close()
    assert (await scrape()).of("geostream_bytes_sent_total", dialect="phoenix") == sent > 0


async def test_totals_stay_when_connections_close(geo: Callable[..., GeoPeer], runtime: Runtime) -> None:
    peer = geo()
    await peer.ask(type="ping", id=1)
    await peer.close()
    told = await scrape()
    assert told.of("geostream_connections", dialect="geo") == 0
    assert told.of("geostream_messages_received_total", dialect="geo") == 1
    assert told.of("geostream_messages_sent_total", dialect="geo") == 1
    assert told.of("geostream_closed_total", dialect="geo", code="client") == 1


async def test_what_the_server_closes_is_counted_once_by_its_reason(phoenix: PhoenixPeer, runtime: Runtime) -> None:
    phoenix.connection.close(CloseCode.DISCONNECTED, "an operator")
    phoenix.connection.close(CloseCode.IDLE, "and idle")
    await phoenix.closed()
    await phoenix.close()
    assert not runtime.connections.open
    told = await scrape()
    counts = {sample.labels["code"]: sample.value for sample in told.samples if sample.name == "geostream_closed_total" and sample.value}
    assert counts == {"disconnected": 1}


async def test_what_waits_for_clients_is_summed(runtime: Runtime) -> None:
    peers = [await PhoenixPeer().connect() for _ in range(2)]
    for count, peer in enumerate(peers, 2):
        peer.stop_reading()
        peer.connection.outbox.send("the socket takes this")
        for _ in range(count):
            peer.connection.outbox.send("x" * 100)
    told = await scrape()
    assert (told["geostream_outbox_messages"], told["geostream_outbox_messages_max"]) == (5, 3)
    assert (told["geostream_outbox_bytes"], told["geostream_outbox_bytes_max"]) == (500, 300)
    for peer in peers:
        peer.read_again()
        await peer.close()


async def test_topics_are_counted_and_their_totals_stay_when_they_empty(phoenix: PhoenixPeer, runtime: Runtime) -> None:
    await phoenix.join("system", token=mint("alice", "system"))
    room = runtime.service(Topics).rooms.rooms["system"]
    said = room.published  # it tells the time
    runtime.service(Topics).rooms.deliver([TopicMessage("system", "a", b"1"), TopicMessage("system", "b", b"2")])
    room.dropped += 3
    told = await scrape()
    assert (told["geostream_topics"], told["geostream_members"], told["geostream_topic_dropped_total"]) == (1, 1, 3)
    assert told["geostream_topic_messages_total"] >= said + 2
    await phoenix.ask("1", "2", "system", "phx_leave", {})
    after = await scrape()
    assert (after["geostream_topics"], after["geostream_members"], after["geostream_topic_dropped_total"]) == (0, 0, 3)
    assert after["geostream_topic_messages_total"] >= told["geostream_topic_messages_total"]
    assert after["geostream_topic_deliveries_total"] >= told["geostream_topic_deliveries_total"]


async def test_what_clients_of_redis_commands_are_told_is_counted(runtime: Runtime) -> None:
    peer = await RedisPeer().opened()
    await peer.ask("SUB pub:a")
    await async_redis().publish("pub:a", "1")
    assert (await peer.receive())["content"] == 1
    await peer.close()
    told = await scrape()
    names = ("messages", "bad", "deliveries", "dropped", "conflated", "capped")
    assert [told[f"geostream_redis_{name}_total"] for name in names] == [1, 0, 1, 0, 0, 0]
    assert told.of("geostream_closed_total", dialect="redis", code="client") == 1


async def test_feeds_and_subscriptions_are_counted(geo: Callable[..., GeoPeer], runtime: Runtime) -> None:
    await apublish("l", [point("a", 1, 2)])
    before = await scrape()
    peer = geo()
    await peer.subscribe(id="s")
    await peer.subscribe(id="t", bbox=[0, 0, 5, 5])
    told = await scrape()
    assert told["geostream_feeds"] == before["geostream_feeds"] + 1
    assert told["geostream_views"] == before["geostream_views"] + 2
    assert told["geostream_bus_connected"] == 1


async def test_a_late_loop_is_seen() -> None:
    lag = LoopLag()
    await lag.look()
    assert lag.longest == 0
    time.sleep(LOOK_SECONDS + 0.05)  # blocks the loop
    await lag.look()
    await lag.look()
    assert lag.longest >= 0.04


async def test_the_loop_is_looked_at_often_while_there_are_clients(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "LOOK_BACK_SECONDS", 0.0)
    clients = ["alice"]
    lag = LoopLag(lambda: clients)
    await lag.look()
    monkeypatch.setattr(metrics, "LOOK_BACK_SECONDS", 30.0)
    await lag.look()
    assert lag.pace == LOOK_SECONDS
    clients.clear()
    await lag.look()
    assert lag.pace == LOOK_SECONDS, "for as long as the metric looks back"


async def test_the_loop_is_looked_at_seldom_at_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "LOOK_BACK_SECONDS", 0.0)
    lag = LoopLag()
    await lag.look()
    assert lag.pace == REST_LOOK_SECONDS


async def test_a_loop_that_is_late_at_rest_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "LOOK_BACK_SECONDS", 0.0)
    monkeypatch.setattr(metrics, "REST_LOOK_SECONDS", 0.2)
    lag = LoopLag()
    await lag.look()
    monkeypatch.setattr(metrics, "LOOK_BACK_SECONDS", 30.0)
    time.sleep(0.3)
    await lag.look()
    assert lag.longest >= 0.09


async def test_a_loop_that_begins_to_work_is_looked_at_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "LOOK_BACK_SECONDS", 0.0)
    lag = LoopLag()
    await lag.look()
    monkeypatch.setattr(metrics, "LOOK_BACK_SECONDS", 30.0)
    await lag.look()
    assert lag.pace == REST_LOOK_SECONDS
    began = time.thread_time()
    while time.thread_time() - began < 1.1 * WORK_SECONDS:
        pass
    await lag.look()
    assert lag.pace == LOOK_SECONDS


async def test_lags_are_forgotten_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    lag = LoopLag()
    for _ in range(3):
        await lag.look()
    assert len(lag._lags) == 2
    monkeypatch.setattr(metrics, "LOOK_BACK_SECONDS", 0.01)
    time.sleep(0.02)
    await lag.look()
    assert len(lag._lags) == 1


async def test_the_loop_is_looked_at_while_the_engine_runs(runtime: Runtime) -> None:
    await asyncio.sleep(2 * LOOK_SECONDS)
    time.sleep(0.2)
    await asyncio.sleep(LOOK_SECONDS)
    assert (await scrape())["geostream_loop_lag_seconds"] > 0.05


# -- formats, and who may read -------------------------------------------------


async def test_openmetrics_is_spoken_with_those_who_ask_for_it(runtime: Runtime) -> None:
    answer = await get(Accept="application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5")
    assert answer["Content-Type"].startswith("application/openmetrics-text")
    assert answer["Cache-Control"] == "no-store"
    names = {family.name for family in parse_openmetrics(answer.content.decode())}
    assert {measure.name.removesuffix("_total") for measure in all_measures()} <= names


class Asked(NamedTuple):
    token: str
    headers: dict[str, str]
    status: int


@pytest.mark.parametrize(
    "asked",
    [
        Asked("", {}, 200),
        Asked("", ELSEWHERE, 403),
        Asked("", {**ELSEWHERE, "Authorization": "Bearer "}, 403),
        Asked("s3cret", {}, 403),
        Asked("s3cret", {"Authorization": "Bearer wrong"}, 403),
        Asked("s3cret", {"Authorization": "Bearer s3cret"}, 200),
        Asked("s3cret", {**ELSEWHERE, "Authorization": "Bearer s3cret"}, 200),
    ],
)
async def test_metrics_are_for_this_machine_or_for_the_token(runtime: Runtime, settings: Any, asked: Asked) -> None:
    settings.GEOSTREAM_METRICS_TOKEN = asked.token
    answer = await get(**asked.headers)
    assert answer.status_code == asked.status
    assert asked.status == 200 or answer.json()["code"] == "forbidden"


@pytest.mark.parametrize(("staff", "status"), [(True, 200), (False, 403)])
async def test_staff_may_read_them_from_anywhere(runtime: Runtime, staff: bool, status: int) -> None:
    client = AsyncClient()
    await client.aforce_login(await User.objects.acreate(username="u", is_staff=staff))
    assert (await client.get("/metrics", headers=ELSEWHERE)).status_code == status


@pytest.mark.parametrize(
    ("address", "headers", "local"),
    [
        ("127.0.0.1", {}, True),
        ("127.8.9.10", {}, True),
        ("::1", {}, True),
        ("::ffff:127.0.0.1", {}, True),
        ("::ffff:10.0.0.1", {}, False),
        ("10.0.0.1", {}, False),
        ("localhost", {}, False),
        ("", {}, False),
        ("127.0.0.1", {"X-Forwarded-For": "127.0.0.1"}, False),
        ("127.0.0.1", {"Forwarded": "for=127.0.0.1"}, False),
        ("127.0.0.1", {"X-Real-IP": "127.0.0.1"}, False),
        ("127.0.0.1", {"Via": "1.1 proxy"}, False),
    ],
)
def test_whoever_speaks_for_others_is_not_of_this_machine(address: str, headers: dict[str, str], local: bool) -> None:
    assert from_this_machine(RequestFactory(REMOTE_ADDR=address).get("/metrics", headers=headers)) is local


async def test_readiness_depends_on_the_bus(runtime: Runtime) -> None:
    assert (await get("/readyz")).json() == {"ready": True, "checks": {"redis": True, "database": True, "hub": True, "bus": True}}
    runtime.service(Topics).bus.connected = False
    answer = await get("/readyz")
    assert (answer.status_code, answer.json()["checks"]["bus"]) == (503, False)


# -- several processes ---------------------------------------------------------


class Other:
    """Another process, with one counter of a dialect."""

    def __init__(self, node: str, count: int = 0) -> None:
        self.node = node
        self.count = count
        self.leases = Leases(node)
        self.exposition = Exposition(node, self._read)

    async def _read(self) -> Sequence[Metric]:
        family = CounterMetricFamily("geostream_messages_sent_total", "messages to clients", labels=["dialect"])
        family.add_metric(["geo"], self.count)
        return [family]

    async def answer(self) -> Scrape:
        text, _ = await self.exposition.answer()
        return Scrape(text.decode())


@pytest.fixture
async def other(runtime: Runtime) -> Other:
    """Another process that lives."""
    other = Other("f" * 32, 7)
    await other.leases.renew()
    await other.exposition.share()
    return other


def sent(told: Scrape, node: str) -> float:
    return told.of("geostream_messages_sent_total", dialect="geo", node=node)


async def test_a_process_answers_for_all_that_live(runtime: Runtime, other: Other) -> None:
    told = await scrape()
    assert told.nodes == {runtime.hub.node, other.node}
    assert (sent(told, runtime.hub.node), sent(told, other.node)) == (0, 7)


async def test_each_name_is_explained_once(other: Other) -> None:
    text = (await get()).content.decode()
    assert text.count("# TYPE geostream_messages_sent_total counter") == text.count("# HELP geostream_messages_sent_total ") == 1


async def test_one_process_alone_can_be_asked_for(runtime: Runtime, other: Other) -> None:
    assert (await scrape("/metrics?scope=process")).nodes == {runtime.hub.node}


async def test_a_process_shares_without_being_asked(runtime: Runtime, other: Other) -> None:
    await runtime.service(MetricsService).exposition.share()
    assert runtime.hub.node in (await other.answer()).nodes
    assert 0 < await async_redis().ttl(METRICS_KEY + runtime.hub.node) <= 15


async def test_a_process_whose_lease_has_run_out_is_left_out(runtime: Runtime, other: Other) -> None:
    await async_redis().delete(NODE_KEY + other.node)
    assert (await scrape()).nodes == {runtime.hub.node}


async def test_no_counter_goes_back_whichever_process_answers(runtime: Runtime, other: Other) -> None:
    other.count = 50
    assert sent(await other.answer(), other.node) == 50
    assert sent(await scrape(), other.node) == 50


async def test_what_another_version_left_is_left_out(runtime: Runtime, other: Other, caplog: pytest.LogCaptureFixture) -> None:
    await async_redis().set(METRICS_KEY + other.node, b"\x93 nonsense")
    assert (await scrape()).nodes == {runtime.hub.node}
    assert "another version" in caplog.text


async def test_without_redis_a_process_answers_for_itself(no_redis: None) -> None:
    alone = Other("a" * 32, 3)
    await alone.exposition.share()
    told = await alone.answer()
    assert sent(told, alone.node) == 3
