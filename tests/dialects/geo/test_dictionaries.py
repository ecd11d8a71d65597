"""Small messages, compressed with the dictionary of their layer for those who hold it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.test import AsyncClient

from streaming import apublish
from streaming.core.redis import async_feed_redis
from streaming.dialects.geo import dictionary_service
from streaming.dialects.geo.codec import decode
from streaming.dialects.geo.dictionary_service import Dictionaries
from streaming.dialects.geo.messages import FeatureData
from streaming.dialects.geo.zstd import ForeignDictionary
from streaming.engine.runtime import Runtime
from streaming.features import dictionaries as stored
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
    (known, *_) = runtime.service(Dictionaries).of("l", dictionary_service.MessageFormat.JSON)
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
    (known,) = other.of("l", dictionary_service.MessageFormat.JSON)
    assert (known.id, told) == (dictionary.id, ["l"])
    assert {name: value for name, _, value in other.collect()}["geostream_dictionaries_trained_total"] == 0


async def test_it_goes_with_its_layer(geo: Connect, ships: None, runtime: Runtime) -> None:
    peer = geo()
    await peer.send({"type": "use_dictionaries", "ids": []})
    await peer.subscribe(snapshot=False)
    offer = await offered(peer)
    await (await Layer.objects.aget(name="l")).adelete()
    assert (await AsyncClient().get(offer["url"])).status_code == 404
    assert await stored.current("l", dictionary_service.FORMS) == stored.NONE


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
