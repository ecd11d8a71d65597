"""Small messages, compressed with the dictionary of their layer for those who hold it."""

from __future__ import annotations

import json
from collections.abc import Callable
from random import Random
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.contrib.auth.models import Permission, User
from django.test import AsyncClient
from rest_framework_simplejwt.tokens import AccessToken

from streaming import adelete, apublish
from streaming.core.feed import Feed
from streaming.core.redis import async_feed_redis
from streaming.dialects.geo import dictionary_service
from streaming.dialects.geo.codec import decode
from streaming.dialects.geo.dictionary_service import Dictionaries
from streaming.dialects.geo.dictionary_training import FORMS
from streaming.dialects.geo.messages import ChangeType, FeatureData, MessageFormat
from streaming.dialects.geo.zstd import ForeignDictionary
from streaming.engine.runtime import Runtime
from streaming.features import dictionaries as stored
from streaming.features.clearing import clear
from streaming.models import Layer
from tests.geo_peer import GeoPeer, point

Connect = Callable[..., GeoPeer]
LIMITS = {"max_size": 1 << 20, "max_decompressed": 1 << 20}


def ship(number: int, **properties: Any) -> dict[str, Any]:
    named = {"name": f"MS Example {number}", "kind": "container ship", "flag": "Panama", "destination": "Rotterdam"}
    return point(f"ship-{number}", 5 + number / 100, 50 + number / 77, **named, speed=number % 23, course=number * 7 % 360, **properties)


@pytest.fixture
async def ships(runtime: Runtime) -> None:
    """A layer with enough features for a dictionary."""
    await apublish("l", map(ship, range(300)))


async def offered(peer: GeoPeer) -> dict[str, Any]:
    """What the client is told of a dictionary; features before that are passed over."""
    while (message := await peer.next())["type"] != "layer_dictionary":
        pass
    return message


async def fetched(offer: dict[str, Any]) -> ForeignDictionary:
    answer = await AsyncClient().get(offer["url"])
    assert answer.status_code == 200
    return ForeignDictionary(answer.content)


async def holding(peer: GeoPeer) -> ForeignDictionary:
    """Have a client ask for dictionaries, fetch the layer's, and say so."""
    await peer.send({"type": "use_dictionaries", "ids": []})
    await peer.subscribe(snapshot=False)
    dictionary = await fetched(await offered(peer))
    await peer.send({"type": "use_dictionaries", "ids": [dictionary.id]})
    assert await peer.nothing()
    return dictionary


def read(frame: Any, *dictionaries: ForeignDictionary) -> FeatureData:
    message, _ = decode(frame, **LIMITS, dictionaries={each.id: each for each in dictionaries})
    assert isinstance(message, FeatureData)
    return message


async def test_small_messages_are_compressed_for_who_holds_it(geo: Connect, ships: None) -> None:
    peer, plain = geo(), geo()
    dictionary = await holding(peer)
    await plain.subscribe(snapshot=False)
    await apublish("l", ship(7, speed_limit=12))
    frame, text = await peer.receive(), json.dumps(await plain.receive())
    assert isinstance(frame, bytes)
    assert len(frame) < len(text) / 3
    assert json.loads(read(frame, dictionary).geojson) == ship(7, speed_limit=12)


async def test_a_client_that_does_not_ask_gets_what_it_always_got(geo: Connect, ships: None) -> None:
    before = geo()
    await before.subscribe(snapshot=False)
    await apublish("l", ship(1, lap=1))
    first = await before.receive()
    await holding(geo())
    await apublish("l", ship(1, lap=2))
    second = await before.receive()
    assert {**first, "geojson": "", "cursor": ""} == {**second, "geojson": "", "cursor": ""}
    assert json.loads(second["geojson"]) == ship(1, lap=2)


async def test_it_is_not_used_before_the_client_says_that_it_holds_it(geo: Connect, ships: None) -> None:
    peer = geo()
    await peer.send({"type": "use_dictionaries", "ids": []})
    await peer.subscribe(snapshot=False)
    offer = await offered(peer)
    await apublish("l", ship(1, lap=1))
    assert (await peer.receive())["type"] == "feature_data"
    await peer.send({"type": "use_dictionaries", "ids": [offer["id"] ^ 1]})
    await apublish("l", ship(1, lap=2))
    assert (await peer.receive())["type"] == "feature_data"


async def test_who_comes_back_with_it_is_sent_no_word_of_it(geo: Connect, ships: None) -> None:
    dictionary = await holding(geo())
    peer = geo()
    await peer.send({"type": "use_dictionaries", "ids": [dictionary.id]})
    await peer.send({"type": "subscribe_features", "subscription_id": "s", "layer": "l"})
    assert (await peer.receive())["type"] == "ack"
    snapshot = [read(await peer.receive(), dictionary) for _ in range(300)]
    assert {json.loads(each.geojson)["id"] for each in snapshot} == {ship(number)["id"] for number in range(300)}


async def test_what_it_does_not_shorten_is_sent_as_it_is(geo: Connect, ships: None) -> None:
    peer = geo()
    await holding(peer)
    large = ship(1, text="x" * 20_000)
    await apublish("l", large)
    message = await peer.receive()
    assert json.loads(message["geojson"]) == large


async def test_a_batch_that_is_small_is_compressed_too(geo: Connect, ships: None) -> None:
    dictionary = await holding(geo())
    peer = geo()
    await peer.send({"type": "use_dictionaries", "ids": [dictionary.id]})
    await peer.subscribe(snapshot=False, batch=True)
    await apublish("l", [ship(1, lap=1), ship(2, lap=1)])
    batch = json.loads(read(await peer.receive(), dictionary).geojson)
    assert [each["id"] for each in batch["features"]] == ["ship-1", "ship-2"]


async def test_clients_that_ask_for_the_same_share_what_was_compressed(geo: Connect, ships: None, runtime: Runtime) -> None:
    first, second = geo(), geo()
    dictionary = await holding(first)
    await second.send({"type": "use_dictionaries", "ids": [dictionary.id]})
    await second.subscribe(snapshot=False)
    before = counted(runtime)["geostream_dictionary_plain_bytes_total"]
    await apublish("l", ship(1, lap=1))
    assert await first.receive() == await second.receive()
    (known, *_) = runtime.service(Dictionaries).of("l", MessageFormat.JSON)
    assert known.plain - before < 600


async def test_the_service_counts_what_it_saves(geo: Connect, ships: None, runtime: Runtime) -> None:
    peer = geo()
    await holding(peer)
    await apublish("l", ship(1, lap=1))
    frame = await peer.receive()
    samples = counted(runtime)
    assert samples["geostream_dictionaries"] == samples["geostream_dictionaries_trained_total"] == 2
    assert samples["geostream_dictionary_sent_bytes_total"] == len(frame) < samples["geostream_dictionary_plain_bytes_total"]


def counted(runtime: Runtime) -> dict[str, float]:
    return {name: value for name, _, value in runtime.service(Dictionaries).collect()}


async def test_a_layer_with_few_features_has_none(geo: Connect, runtime: Runtime) -> None:
    await apublish("l", map(ship, range(50)))
    peer = geo()
    await peer.send({"type": "use_dictionaries", "ids": []})
    await peer.subscribe(snapshot=False)
    service = runtime.service(Dictionaries)
    await service.look()
    assert await peer.nothing()
    await apublish("l", map(ship, range(50, 300)))
    await peer.until("added", "ship-299")
    await service.look()
    assert (await offered(peer))["layer"] == "l"


async def test_none_are_made_where_they_are_turned_off(geo: Connect, ships: None, runtime: Runtime, settings: Any) -> None:
    settings.GEOSTREAM_DICTIONARIES = False
    peer = geo()
    await peer.send({"type": "use_dictionaries", "ids": []})
    await peer.subscribe(snapshot=False)
    await runtime.service(Dictionaries).look()
    assert await peer.nothing()


async def test_a_worn_out_one_is_replaced_and_the_one_before_still_serves(
    geo: Connect, ships: None, runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    peer = geo()
    old = await holding(peer)
    service = runtime.service(Dictionaries)
    monkeypatch.setattr(dictionary_service.Dictionary, "is_worn_out", lambda self: self.id == old.id)
    await async_feed_redis().delete(stored._keys("l")[1])  # the pause is over
    await apublish("l", (ship(number, cargo="bananas from Ecuador") for number in range(300)))
    for _ in range(300):
        await peer.receive()
    await service.look()
    offer = await offered(peer)
    new = await fetched(offer)
    assert new.id != old.id
    await apublish("l", ship(1, lap=1))
    assert read(await peer.receive(), old).change_type.value == "updated"
    await peer.send({"type": "use_dictionaries", "ids": [old.id, new.id]})
    await apublish("l", ship(1, lap=2))
    assert json.loads(read(await peer.receive(), new).geojson) == ship(1, lap=2)


async def test_there_is_a_pause_between_two_trainings(geo: Connect, ships: None, runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    peer = geo()
    old = await holding(peer)
    monkeypatch.setattr(dictionary_service.Dictionary, "is_worn_out", lambda self: self.id == old.id)
    await apublish("l", (ship(number, cargo="bananas from Ecuador") for number in range(300)))
    for _ in range(300):
        await peer.receive()
    await runtime.service(Dictionaries).look()
    assert await peer.nothing()


async def test_processes_share_what_one_has_trained(geo: Connect, ships: None, runtime: Runtime) -> None:
    dictionary = await holding(geo())
    other = Dictionaries(runtime)
    told: list[str] = []

    class Client:
        def dictionaries_changed(self, layer: str) -> None:
            told.append(layer)

    other.follow("l", Client())
    await other.look()
    (known,) = other.of("l", MessageFormat.JSON)
    assert (known.id, told) == (dictionary.id, ["l"])
    assert {name: value for name, _, value in other.collect()}["geostream_dictionaries_trained_total"] == 0


async def test_it_goes_with_its_layer(geo: Connect, ships: None, runtime: Runtime) -> None:
    peer = geo()
    await peer.send({"type": "use_dictionaries", "ids": []})
    await peer.subscribe(snapshot=False)
    offer = await offered(peer)
    await (await Layer.objects.aget(name="l")).adelete()
    assert (await AsyncClient().get(offer["url"])).status_code == 404
    assert await stored.current("l", FORMS) == stored.NONE


async def test_positional_peers_have_none(geo: Connect) -> None:
    peer = geo()
    await peer.send(b"\x92\xa4ping\x01")
    await peer.receive()
    await peer.send(b"\x92\xb0use_dictionaries\x90")
    assert b"bad_request" in await peer.receive()


async def test_cells_are_not_compressed_with_it(geo: Connect, ships: None) -> None:
    dictionary = await holding(geo())
    peer = geo()
    await peer.send({"type": "use_dictionaries", "ids": [dictionary.id]})
    await peer.subscribe(aggregate={"by": "grid", "resolution": 4})
    assert (await peer.receive())["type"] == "feature_data"


async def test_only_who_may_read_the_layer_may_read_it(geo: Connect, ships: None) -> None:
    layer = await Layer.objects.aget(name="l")
    layer.public = False
    await layer.asave()
    alice = await User.objects.acreate_user("alice")
    await alice.user_permissions.aadd(await Permission.objects.aget(codename="view_layer"))
    token = f"Bearer {AccessToken.for_user(alice)}"
    stranger, reader = geo(), geo(headers=[(b"authorization", token.encode())])
    await stranger.send({"type": "use_dictionaries", "ids": []})
    assert (await stranger.subscribe())["code"] == "unknown_layer"
    await reader.send({"type": "use_dictionaries", "ids": []})
    await reader.subscribe(snapshot=False)
    offer = await offered(reader)
    assert await stranger.nothing()
    refused = await AsyncClient().get(offer["url"])
    assert (refused.status_code, refused.json()["code"]) == (404, "unknown_layer")
    answer = await AsyncClient().get(offer["url"], headers={"authorization": token})
    assert answer.status_code == 200
    assert answer["Cache-Control"] == "private, max-age=31536000, immutable"
    assert "Authorization" in answer["Vary"]


async def test_what_is_at_its_address_never_changes(geo: Connect, ships: None) -> None:
    peer = geo()
    await peer.send({"type": "use_dictionaries", "ids": []})
    await peer.subscribe(snapshot=False)
    offer = await offered(peer)
    answer = await AsyncClient().get(offer["url"])
    assert answer["Cache-Control"] == "public, max-age=31536000, immutable"
    assert offer["url"].endswith(stored.name_of(answer.content))
    assert offer["size"] == len(answer.content)
    unknown = await AsyncClient().get("/api/layers/l/dictionaries/" + "0" * 32)
    assert (unknown.status_code, unknown.json()["code"]) == (404, "unknown_dictionary")


async def test_an_emptied_layer_has_none_any_more(geo: Connect, ships: None) -> None:
    await holding(geo())
    await sync_to_async(list)(clear(Feed("layer:l")))
    assert await stored.current("l", FORMS) == stored.NONE


class Follower:
    """A client that keeps the layer, and dictionaries as it fetches them, whatever comes in between."""

    def __init__(self, geo: Connect) -> None:
        self._geo = geo
        self.peer = geo()
        self.held: dict[int, ForeignDictionary] = {}
        self.features: dict[str, Any] = {}
        self.cursor: str | None = None
        self.offers: list[dict[str, Any]] = []
        self.compressed = 0

    async def connect(self) -> None:
        self.peer = self._geo()
        await self.tell()
        await self.peer.send({"type": "subscribe_features", "subscription_id": "s", "layer": "l", "cursor": self.cursor})

    async def tell(self) -> None:
        await self.peer.send({"type": "use_dictionaries", "ids": list(self.held)})

    async def fetch(self) -> None:
        for offer in self.offers[-1:]:  # those before may not be there any more
            self.held[offer["id"]] = await fetched(offer)
        self.offers.clear()
        await self.tell()

    async def read_until(self, lap: int) -> None:
        """Take what comes, up to the change that a test ends each step with."""
        while self.features.get("end", {}).get("properties", {}).get("lap") != lap:
            self._take(await self.peer.receive())

    def _take(self, frame: Any) -> None:
        if isinstance(frame, dict) and frame["type"] == "layer_dictionary":
            self.offers.append(frame)
        if isinstance(frame, dict) and frame["type"] != "feature_data":
            return
        self.compressed += isinstance(frame, bytes)
        message = read(frame if isinstance(frame, bytes) else json.dumps(frame), *self.held.values())
        feature = json.loads(message.geojson)
        self.cursor = message.cursor or self.cursor
        if message.change_type is ChangeType.DELETED:
            del self.features[feature["id"]]
        else:
            self.features[feature["id"]] = feature


@pytest.mark.parametrize("seed", range(2))
async def test_what_is_decoded_is_what_was_published_across_trainings_and_connections(
    geo: Connect, ships: None, runtime: Runtime, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    random = Random(seed)
    service, follower = runtime.service(Dictionaries), Follower(geo)
    published = {each["id"]: each for each in map(ship, range(300))}
    monkeypatch.setattr(dictionary_service.Dictionary, "is_worn_out", lambda self: random.random() < 0.5)
    await follower.connect()
    for lap in range(15):
        fleet = random.choice(["", "North Sea Shipping", "Compañía Marítima", "日本郵船"])
        changed = [
            ship(random.randrange(300), fleet=fleet, lap=lap, lane="x" * random.choice([0, 10, 500])) for _ in range(random.randrange(40))
        ]
        gone = random.sample(sorted(published), random.randrange(3))
        await apublish("l", changed)
        published |= {each["id"]: each for each in changed}
        await adelete("l", *gone)
        for id in gone:
            published.pop(id, None)
        match random.randrange(4):
            case 0:
                await async_feed_redis().delete(stored._keys("l")[1])
                await service.look()
            case 1:
                await follower.fetch()
            case 2:
                await follower.connect()
        published["end"] = point("end", 0, 0, lap=lap)
        await apublish("l", published["end"])
        await follower.read_until(lap)
    assert follower.features == published
    assert follower.compressed
