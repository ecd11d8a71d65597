"""The commands of one client, from the socket to Redis and back."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from channels.db import database_sync_to_async
from django.contrib.auth.models import Permission, User
from pytest_django import Settings
from rest_framework_simplejwt.tokens import AccessToken

from streaming.core.errors import CloseCode
from streaming.core.redis import sync_redis
from streaming.dialects.redis_commands.commands import MAX_WAITING_BYTES
from streaming.dialects.redis_commands.service import RedisCommandsService
from streaming.engine.runtime import Runtime
from streaming.features.layers import catalogue
from streaming.features.publishing import aensure_layer, apublish
from streaming.models import Layer

from . import fleet
from .peer import RedisPeer

Connect = Callable[..., Awaitable[RedisPeer]]
HELLO = "HELLO 2 errors=1 acks=1"


@pytest.fixture
async def connect(runtime: Runtime) -> AsyncIterator[Connect]:
    """Opens connections to the engine in this process."""
    peers: list[RedisPeer] = []

    async def opened(token: str = "") -> RedisPeer:
        peers.append(RedisPeer(token))
        return await peers[-1].opened()

    yield opened
    for peer in peers:
        await peer.close()


@pytest.fixture
async def peer(connect: Connect) -> RedisPeer:
    return await connect()


@pytest.fixture
def own_commands(settings: Settings) -> Iterator[None]:
    settings.GEOSTREAM_REDIS_COMMANDS = "tests.dialects.redis_commands.fleet.FleetCommands"
    yield


def feature(identity: str, x: float, y: float) -> dict[str, Any]:
    return {"type": "Feature", "id": identity, "geometry": {"type": "Point", "coordinates": [x, y]}, "properties": {}}


@database_sync_to_async
def reader_token() -> str:
    user = User.objects.create_user("reader")
    user.user_permissions.add(Permission.objects.get(codename="view_layer"))
    return str(AccessToken.for_user(user))


async def private_layer() -> None:
    await aensure_layer("fleet")
    await apublish("fleet", [feature("a", 1, 1)])
    await database_sync_to_async(Layer.objects.filter(name="fleet").update)(public=False)
    catalogue.clear()


# -- HELLO ---------------------------------------------------------------------


async def test_hello_tells_the_version_the_commands_and_the_limits(peer: RedisPeer, settings: Settings) -> None:
    settings.GEOSTREAM_REDIS_PATTERNS = 3
    [hello] = await peer.contents("HELLO 2")
    assert (hello["status"], hello["version"]) == ("hello", 2)
    assert {"GET", "SUB", "DEL", "PING", "BBOX", "PROJECTION", "PGET", "HELLO", "PSUB", "PDEL", "BUFFER", "RESET"} == set(hello["commands"])
    assert hello["limits"] == {"command_bytes": 8192, "subscriptions": 256, "patterns": 3, "values": 10_000}


QUIET = ("FLY", "ping", "GET secret", "SUB asgi:x", "PROJECTION nowhere", "PROJECTION", "BBOX 1 2", "HELLO", "BUFFER 1", "PSUB", b"PING")
CODES = [
    ("unknown_command", None),
    ("unknown_command", None),
    ("forbidden", None),
    ("forbidden", None),
    ("projection", None),
    ("arguments", None),
    ("arguments", None),
    ("arguments", None),
    ("arguments", None),
    ("arguments", None),
    ("binary", None),
]


async def test_what_the_original_ignores_is_ignored(peer: RedisPeer) -> None:
    assert await peer.ask(*QUIET) == []


async def test_a_client_that_asked_for_errors_is_sent_all_of_them(peer: RedisPeer) -> None:
    await peer.ask("HELLO 2 errors=1")
    assert await peer.errors(*QUIET) == CODES


async def test_a_later_hello_ends_what_it_does_not_ask_for(peer: RedisPeer) -> None:
    await peer.ask(HELLO, "HELLO 2")
    assert await peer.ask("FLY", "SUB pub:a") == []


@pytest.mark.parametrize(
    ("command", "error"),
    [
        ("", ("empty", None)),
        (" \n\t ", ("empty", None)),
        ("GET", ("arguments", None)),
        ("GET a b c d client_ref=e", ("arguments", "e")),
        ("GET pub:a client_ref=1 client_ref=2", ("arguments", "1")),
        ("SUB pub:a pub:b", ("arguments", None)),
        ("SUB pub:a colour=red client_ref=x", ("arguments", "x")),
        ("BBOX a b c d", ("arguments", None)),
        ("BBOX nan 0 1 1", ("arguments", None)),
        ("BBOX 0 0 1 1 crs=epsg:999999", ("projection", None)),
        ("PROJECTION +proj=utm", ("projection", None)),
        ("PGET pub:a projection=nonsense client_ref=p", ("projection", "p")),
        (b"GET pub:a", ("binary", None)),
        (b"\xff\xfe \x00", ("binary", None)),
    ],
)
async def test_where_the_original_hangs_up_the_client_is_told_why(peer: RedisPeer, command: str | bytes, error: tuple[str, str]) -> None:
    await peer.ask("HELLO 2 errors=1")
    assert await peer.errors(command) == [error]


async def test_no_error_repeats_what_the_client_sent(peer: RedisPeer) -> None:
    await peer.ask("HELLO 2 errors=1")
    for command in ("<script> x", "GET <script>", "PROJECTION <script>", "BBOX <script> 1 2 3", "SUB a <script>", "HELLO <script>"):
        [frame] = await peer.ask(command)
        assert "script" not in json.dumps(frame)


# -- acknowledgements ----------------------------------------------------------


async def test_subscriptions_are_acknowledged_if_the_client_asked_for_it(peer: RedisPeer) -> None:
    await peer.ask("HELLO 2 acks=1")
    frames = await peer.ask("SUB pub:a client_ref=x", "PSUB pub:* client_ref=y", "PDEL pub:*", "DEL pub:a client_ref=z", "DEL pub:never")
    assert [(frame["content"]["status"], frame["content"]["channel"], frame["client_reference"]) for frame in frames] == [
        ("subscribed", "pub:a", "x"),
        ("subscribed", "pub:*", "y"),
        ("unsubscribed", "pub:*", None),
        ("unsubscribed", "pub:a", "z"),
        ("unsubscribed", "pub:never", None),
    ]


async def test_without_asking_nothing_is_acknowledged(peer: RedisPeer) -> None:
    assert await peer.ask("SUB pub:a", "PSUB pub:*", "DEL pub:a", "PDEL pub:*", "RESET", "BUFFER 10 10") == []


async def test_once_acknowledged_a_subscription_is_there(peer: RedisPeer) -> None:
    await peer.ask("HELLO 2 acks=1", "SUB pub:a client_ref=x")
    assert sync_redis().publish("pub:a", '{"n":1}') == 1
    received = await peer.receive()
    assert (received["source"], received["content"], received["client_reference"]) == ("pub:a", {"n": 1}, "x")


# -- names ---------------------------------------------------------------------

PRIVATE = ("asgi:group:x", "asgispecific", "geostream:layer:fleet", ":1:django.contrib.sessions.cached_x", "secret", "*", "pub")


@pytest.mark.parametrize("name", PRIVATE)
async def test_a_private_name_is_as_one_that_is_not_there(peer: RedisPeer, name: str) -> None:
    sync_redis().hset(name, "field", '"treasure"')
    assert await peer.ask(f"GET {name}", f"GET {name} field one", f"PGET {name}", f"SUB {name}", "GET missing", "SUB missing") == []
    assert sync_redis().publish(name, '"treasure"') == 0


async def test_private_names_stay_private_whatever_the_operator_allows(settings: Settings, connect: Connect) -> None:
    settings.GEOSTREAM_REDIS_READABLE = "*"
    sync_redis().hset("asgi:x", "field", '"treasure"')
    sync_redis().hset("anything", "field", "1")
    peer = await connect()
    assert await peer.contents("GET asgi:x field one", "GET anything field two") == [1]
    await peer.ask("PSUB *", "PSUB asgi:*", "PSUB geostream:*")
    sync_redis().publish("asgi:x", '"treasure"')
    sync_redis().publish("geostream:x", '"treasure"')
    sync_redis().publish("anything", "2")
    assert (await peer.receive())["content"] == 2


async def test_a_pattern_finds_only_readable_names(peer: RedisPeer) -> None:
    await peer.ask("PSUB *", "PSUB p*", "PSUB pub:?")
    sync_redis().publish("private:a", "0")
    sync_redis().publish("pub:a", "1")
    sync_redis().publish("pub:long", "2")
    assert [((frame := await peer.receive())["source"], frame["content"]) for _ in range(2)] == [("pub:a", 1), ("pub:long", 2)]
    assert await peer.ask() == []


async def test_a_private_layer_is_as_one_that_is_not_there(connect: Connect) -> None:
    await private_layer()
    stranger = await connect()
    await stranger.ask("HELLO 2 errors=1")
    assert await stranger.errors("GET fleet", "GET fleet a 1", "SUB fleet", "GET nothing") == [
        ("forbidden", None),
        ("forbidden", "1"),
        ("forbidden", None),
        ("forbidden", None),
    ]


async def test_a_private_layer_is_as_any_name_where_all_names_are_readable(settings: Settings, connect: Connect) -> None:
    settings.GEOSTREAM_REDIS_READABLE = "*"
    await private_layer()
    stranger = await connect()
    await stranger.ask("HELLO 2 errors=1 acks=1")
    answers = [
        [frame["content"] for frame in await stranger.ask(*(f"{verb} {name}" for verb in ("GET", "SUB")))] for name in ("fleet", "none")
    ]
    assert json.dumps(answers[0]).replace("fleet", "none") == json.dumps(answers[1])
    await apublish("fleet", [feature("b", 1, 1)])
    assert await stranger.ask() == []


async def test_a_private_layer_is_read_with_the_permission(connect: Connect) -> None:
    await private_layer()
    reader = await connect(await reader_token())
    assert [content["id"] for content in await reader.contents("GET fleet", "GET fleet a 1", "SUB fleet")] == ["a", "a"]
    await apublish("fleet", [feature("b", 1, 1)])
    assert (await reader.receive())["content"]["id"] == "b"


# -- limits --------------------------------------------------------------------


async def test_a_client_has_so_many_subscriptions(settings: Settings, peer: RedisPeer) -> None:
    settings.GEOSTREAM_REDIS_SUBSCRIPTIONS = 2
    assert await peer.errors("SUB pub:a", "SUB pub:b", "SUB pub:b", "SUB pub:c client_ref=c") == [("arguments", "c")]
    await peer.ask("DEL pub:a")
    assert await peer.errors("SUB pub:c") == []


async def test_a_client_has_so_many_patterns(settings: Settings, peer: RedisPeer) -> None:
    settings.GEOSTREAM_REDIS_PATTERNS = 1
    assert await peer.errors("PSUB pub:a*", "PSUB pub:a*", "PSUB pub:b*") == [("arguments", None)]


async def test_a_pattern_has_an_end(peer: RedisPeer) -> None:
    assert await peer.errors("PSUB pub:" + "*" * 1000) == [("arguments", None)]


@pytest.mark.parametrize("letters", ["x" * 8192, "é" * 4096])
async def test_a_command_may_have_8_kib(peer: RedisPeer, letters: str) -> None:
    assert await peer.ask(letters) == []


@pytest.mark.parametrize("command", ["GET " + "x" * 8192, b"x" * 8193, "é" * 8193])
async def test_a_longer_one_ends_the_connection(peer: RedisPeer, command: str | bytes) -> None:
    await (peer.send_bytes(command) if isinstance(command, bytes) else peer.send_text(command))
    assert (await peer.closed())[0] == 1009


async def test_a_hash_is_answered_with_so_many_values(settings: Settings, peer: RedisPeer) -> None:
    settings.GEOSTREAM_REDIS_VALUES = 5
    sync_redis().hset("pub:large", mapping={str(number): str(number) for number in range(2000)})
    assert len(await peer.ask("GET pub:large")) == 5


async def test_so_many_crss_are_in_use_at_once(settings: Settings, connect: Connect) -> None:
    settings.GEOSTREAM_REDIS_CRSS = 2
    one, other = await connect(), await connect()
    assert await one.errors("PROJECTION epsg:32632", "BBOX 0 0 1 1 crs=epsg:2056") == []
    assert await other.errors("PROJECTION epsg:32632", "PROJECTION epsg:25832") == [("rate_limited", None)]
    assert other.connection.session.commands.filters.crs.code == 32632
    assert await one.errors("BBOX") == []
    assert await other.errors("PROJECTION epsg:25832", "PROJECTION epsg:4326", "PROJECTION EPSG:4326") == []
    await one.close()
    assert await other.errors("PROJECTION epsg:2056", "BBOX 0 0 1 1 crs=epsg:25832") == []


async def test_there_is_always_room_for_web_mercator(settings: Settings, connect: Connect) -> None:
    settings.GEOSTREAM_REDIS_CRSS = 1
    one, other = await connect(), await connect()
    assert await one.errors("PROJECTION epsg:2056") == []
    assert await other.errors("PROJECTION epsg:3857", "BBOX 0 0 1 1", "PROJECTION epsg:32632") == [("rate_limited", None)]


async def test_so_many_boxes_are_in_use_at_once(settings: Settings, connect: Connect) -> None:
    settings.GEOSTREAM_REDIS_BOXES = 1
    one, other = await connect(), await connect()
    assert await one.errors("BBOX 0 0 1 1") == []
    assert await other.errors("BBOX 0 0 1 1", "BBOX 0 0 2 2") == [("rate_limited", None)]
    assert await one.errors("RESET") == []
    await other.ask("BBOX")
    assert await other.errors("BBOX 0 0 2 2") == []


async def test_a_value_has_a_largest_size(settings: Settings, peer: RedisPeer) -> None:
    settings.GEOSTREAM_REDIS_VALUE_BYTES = 10
    sync_redis().hset("pub:a", mapping={"short": '"1234567"', "long": '"123456789"'})
    assert await peer.contents("GET pub:a", "GET pub:a long") == ["1234567", None]
    await peer.ask("SUB pub:a")
    for text in ('"123456789"', "1"):
        sync_redis().publish("pub:a", text)
    assert (await peer.receive())["content"] == 1


@pytest.mark.parametrize("number", ["1_0", "\u0661", "0x10", "1e", "--1", "+nan", "-NaN"])
async def test_numbers_are_written_as_usual(peer: RedisPeer, number: str) -> None:
    assert await peer.errors(f"BBOX {number} 0 1 1") == [("arguments", None)]


@pytest.mark.parametrize(
    "box", ["1e308 -1e308 -1e308 1e308", "-0 -0 -0 -0", "inf inf -inf -inf", f"{'9' * 400} 0 1 1", "-1e999 -inf 1e999 Infinity"]
)
async def test_any_number_is_a_side_of_a_box(peer: RedisPeer, box: str) -> None:
    await peer.ask("HELLO 2 errors=1", "SUB pub:a")
    assert await peer.errors(f"BBOX {box}", "PROJECTION epsg:2056") == []
    sync_redis().publish("pub:a", json.dumps(feature("a", 8, 47)))
    sync_redis().publish("pub:a", "1")
    while (await peer.receive())["content"] != 1:
        pass


# -- batches -------------------------------------------------------------------


async def test_messages_are_buffered_and_answers_are_not(peer: RedisPeer) -> None:
    await peer.ask("SUB pub:a", "BUFFER 3 60000")
    for number in range(3):
        sync_redis().publish("pub:a", str(number))
    received = await peer.receive()
    assert (received["source"], [one["content"] for one in received["content"]]) == ("buffer", [0, 1, 2])
    assert await peer.contents("GET pub:a client_ref=x") == [None]


async def test_what_is_buffered_does_not_wait_for_long(peer: RedisPeer) -> None:
    await peer.ask("SUB pub:a", "BUFFER 1000 20")
    sync_redis().publish("pub:a", "1")
    assert [one["content"] for one in (await peer.receive())["content"]] == [1]


async def test_zero_ends_the_buffering(peer: RedisPeer) -> None:
    await peer.ask("SUB pub:a", "BUFFER 10 60000", "BUFFER 0 0")
    sync_redis().publish("pub:a", "1")
    assert (await peer.receive())["source"] == "pub:a"


# -- RESET ---------------------------------------------------------------------


async def test_reset_drops_subscriptions_and_filters(peer: RedisPeer) -> None:
    await aensure_layer("fleet")
    sync_redis().hset("pub:a", "far", json.dumps(feature("far", 50, 50)))
    await peer.ask("SUB pub:a", "PSUB pub:b*", "SUB fleet", "BBOX 0 0 1 1", "PROJECTION epsg:3857")
    assert await peer.contents("GET pub:a") == [None]
    assert await peer.contents("RESET", "GET pub:a") == [feature("far", 50, 50)]
    assert sync_redis().publish("pub:a", "1") == 0
    assert peer.connection.session.describe() == []


async def test_after_reset_errors_are_sent_as_before(peer: RedisPeer) -> None:
    await peer.ask("HELLO 2 errors=1", "RESET")
    assert await peer.errors("FLY") == [("unknown_command", None)]


async def test_clients_that_want_errors_are_notified_where_messages_may_be_missing(connect: Connect, runtime: Runtime) -> None:
    wants, silent, idle = await connect(), await connect(), await connect()
    await wants.ask(HELLO, "SUB pub:a")
    await silent.ask("SUB pub:a")
    await idle.ask(HELLO)
    sync_redis().execute_command("CLIENT", "KILL", "TYPE", "pubsub")
    content = (await wants.receive())["content"]
    assert (content["status"], content["code"]) == ("error", "gap")
    sync_redis().publish("pub:a", b"1")
    assert (await wants.receive())["content"] == (await silent.receive())["content"] == 1
    assert await idle.ask() == []
    samples = runtime.service(RedisCommandsService).collect()
    assert [value for name, _, value in samples if name == "geostream_redis_gaps_total"] == [1]


async def test_a_client_that_is_gone_has_no_subscriptions(connect: Connect) -> None:
    peer, other = await connect(), await connect()
    await other.ask("SUB pub:b")
    await peer.ask("SUB pub:a", "PSUB pub:*")
    await peer.close()
    await other.ask("DEL pub:b", "SUB pub:b")
    assert sync_redis().publish("pub:a", "1") == 0


# -- commands of one's own -----------------------------------------------------


@pytest.mark.usefixtures("own_commands")
async def test_a_command_of_ones_own_is_answered(connect: Connect) -> None:
    [frame] = await (await connect()).ask("NEAR 8.5 47.4 client_ref=1")
    assert (frame["source"], frame["content"], frame["client_reference"]) == ("near", {"vehicle": "bus 31"}, "1")


@pytest.mark.usefixtures("own_commands")
async def test_the_example_of_the_documentation_answers(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    page = (Path(__file__).parents[3] / "docs" / "redis-commands.md").read_text(encoding="utf-8")
    example = next(block for block in re.findall(r"```python\n(.*?)```", page, re.DOTALL) if "class FleetCommands" in block)

    async def nearest_vehicle(lon: float, lat: float) -> dict[str, float]:
        return {"lon": lon, "lat": lat}

    names: dict[str, Any] = {"nearest_vehicle": nearest_vehicle}
    exec(example, names)
    monkeypatch.setattr(fleet, "FleetCommands", names["FleetCommands"])
    peer = await connect()
    assert await peer.contents("NEAR 8.5 lat=47.4") == [{"lon": 8.5, "lat": 47.4}]
    assert await peer.errors("NEAR here there client_ref=1") == [("arguments", "1")]


@pytest.mark.usefixtures("own_commands")
async def test_hello_knows_the_commands_of_ones_own(connect: Connect) -> None:
    [hello] = await (await connect()).contents("HELLO 2")
    assert set(hello["commands"]) > {"GET", "NEAR", "RENT"}


@pytest.mark.usefixtures("own_commands")
@pytest.mark.parametrize("arguments", ["", "8.5", "8.5 47.4 9", "8.5 north", "nan 47.4", "8.5 47.4 colour=red"])
async def test_a_command_of_ones_own_refuses_as_the_others_do(connect: Connect, arguments: str) -> None:
    assert await (await connect()).errors(f"NEAR {arguments} client_ref=1") == [("arguments", "1")]


@pytest.mark.usefixtures("own_commands")
async def test_a_refusal_of_ones_own_is_sent_with_its_code(connect: Connect) -> None:
    peer = await connect()
    assert await peer.errors("RENT", "TOW client_ref=1") == [("unavailable", "1")]
    await peer.ask("HELLO 2 errors=1")
    assert await peer.errors("RENT") == [("forbidden", None)]


@pytest.mark.usefixtures("own_commands")
async def test_a_command_of_ones_own_knows_who_asks(connect: Connect) -> None:
    assert await (await connect(await reader_token())).contents("RENT") == ["reader"]


@pytest.mark.usefixtures("own_commands")
async def test_a_mistake_of_the_programmer_is_logged_and_answered(connect: Connect, caplog: pytest.LogCaptureFixture) -> None:
    assert await (await connect()).errors("CRASH") == [("unavailable", None)]
    assert "of a programmer" in caplog.text


async def test_a_command_of_the_protocol_may_be_changed(settings: Settings, connect: Connect) -> None:
    settings.GEOSTREAM_REDIS_COMMANDS = "tests.dialects.redis_commands.fleet.BerlinCommands"
    assert await (await connect()).contents("DEL pub:a") == ["never"]


# -- large hashes --------------------------------------------------------------


async def read_half(peer: RedisPeer, *more: str) -> None:
    """The client asked for a hash of 30 MB, and for what is given; it has stopped reading, and the server waits for it."""
    sync_redis().hset("pub:large", mapping={str(number): json.dumps("x" * 10_000) for number in range(3000)})
    peer.stop_reading()
    for command in ("GET pub:large", *more):
        await peer.send_text(command)
    async with asyncio.timeout(10):
        while peer.connection.outbox.bytes <= MAX_WAITING_BYTES:
            await asyncio.sleep(0.01)


def pages_read() -> int:
    """How many pages of hashes Redis was asked for."""
    return int(sync_redis().info("commandstats").get("cmdstat_hscan", {"calls": 0})["calls"])


async def test_a_large_hash_is_read_no_faster_than_the_client_reads(peer: RedisPeer) -> None:
    await read_half(peer)
    outbox, most = peer.connection.outbox, 0
    for _ in range(20):
        await asyncio.sleep(0.01)
        most = max(most, outbox.bytes)
    assert most < 12_000_000
    peer.read_again()
    assert len(await peer.ask()) == 3000


async def test_a_client_that_leaves_during_a_large_hash_is_gone_at_once(peer: RedisPeer, runtime: Runtime) -> None:
    await read_half(peer)
    peer.break_off()
    await peer.released()
    assert not runtime.connections.open


@pytest.mark.usefixtures("own_commands")
async def test_a_client_that_leaves_is_gone_whatever_a_command_waits_for(connect: Connect, runtime: Runtime) -> None:
    peer = await connect()
    for command in ("WAIT", "SUB pub:a"):
        await peer.send_text(command)
    await fleet.FleetCommands.waiting.wait()
    peer.break_off()
    await peer.released()
    assert not runtime.connections.open and sync_redis().pubsub_channels("pub:*") == []


@pytest.mark.usefixtures("own_commands")
async def test_what_a_client_sent_before_it_left_is_done(connect: Connect) -> None:
    peer = await connect()
    for number in range(3):
        await peer.send_text(f"LOG {number}")
    peer.break_off()
    await peer.released()
    assert fleet.FleetCommands.logged == ["0", "1", "2"]


async def test_what_a_client_asked_before_it_left_is_not_read(peer: RedisPeer) -> None:
    await read_half(peer, *["GET pub:large"] * 10)
    read = pages_read()
    peer.break_off()
    await peer.released()
    assert pages_read() == read


async def test_a_client_that_is_closed_during_a_large_hash_is_read_no_more(peer: RedisPeer, runtime: Runtime) -> None:
    await read_half(peer)
    peer.connection.close(CloseCode.DISCONNECTED, "an operator")
    await peer.close()
    assert not runtime.connections.open
