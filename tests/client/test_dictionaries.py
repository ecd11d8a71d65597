"""Dictionaries: fetched over HTTP, held from connection to connection, and used for what the server compresses with them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
import pytest_asyncio

from streaming.client import GeoStreamClient
from streaming.dialects.geo.codec import encode
from streaming.dialects.geo.dictionary import Dictionary
from streaming.dialects.geo.dictionary_training import train
from streaming.dialects.geo.encoding import Encoding
from streaming.dialects.geo.messages import (
    ChangeType,
    Compression,
    FeatureData,
    LayerDictionary,
    MessageFormat,
    SubscribeFeatures,
    UseDictionaries,
)
from tests.client.conftest import MakeClient, Scene
from tests.client.scripted import Peer, ScriptedServer, feature

JSON = Encoding.of(MessageFormat.JSON, Compression.NONE)
PATH = "/api/layers/flights/dictionaries/abc"


def data(number: int) -> bytes:
    text = msgspec.json.encode(feature(number, speed=number * 7 % 900, kind="aircraft")).decode()
    return encode(FeatureData("s", text, ChangeType.ADDED, layer="flights", id=number, cursor=f"e:{number}", reason=None), JSON)


def made(first: int = 0) -> bytes:
    dictionary = train([data(number) for number in range(first, first + 300)], 2048)
    assert dictionary is not None
    return dictionary


@pytest_asyncio.fixture
async def asking(server: ScriptedServer, make_client: MakeClient) -> AsyncIterator[Scene]:
    """A client that asked for dictionaries."""
    client = make_client(dictionaries=True, token="secret")
    connecting = asyncio.create_task(client.connect())
    peer = await server.peer()
    assert await peer.expect(UseDictionaries) == UseDictionaries([])
    await connecting
    yield Scene(client, peer, server)
    await client.close()


async def offer(peer: Peer, dictionary: bytes, path: str = PATH, **changed: Any) -> int:
    known = Dictionary(dictionary)
    await peer.send(msgspec.structs.replace(LayerDictionary("flights", known.id, path, known.size), **changed))
    return known.id


async def logged(caplog: pytest.LogCaptureFixture, text: str) -> None:
    while text not in caplog.text:
        await asyncio.sleep(0)


async def test_it_is_fetched_with_the_token_and_used(asking: Scene) -> None:
    subscription = await asking.subscribe()
    dictionary = made()
    asking.server.files[PATH] = dictionary
    id = await offer(asking.peer, dictionary)
    assert await asking.peer.expect(UseDictionaries) == UseDictionaries([id])
    assert [request.headers["Authorization"] for request in asking.server.requests] == ["Bearer secret"]
    frame = Dictionary(dictionary).compress(data(5))
    assert frame is not None
    await asking.peer.socket.send(frame)
    assert (await anext(subscription)).feature == feature(5, speed=35, kind="aircraft")


async def test_what_is_held_is_named_on_the_next_connection(asking: Scene) -> None:
    asking.server.files[PATH] = dictionary = made()
    id = await offer(asking.peer, dictionary)
    await asking.peer.expect(UseDictionaries)
    asking.peer.break_off()
    assert await (await asking.server.peer()).expect(UseDictionaries) == UseDictionaries([id])
    assert len(asking.server.requests) == 1


@pytest.mark.parametrize("offered", [{"url": "/nowhere"}, {"id": 1}, {"url": "http://127.0.0.1:1/abc"}, {"url": "file:///etc/hostname"}])
async def test_without_it_messages_come_as_ever(asking: Scene, offered: dict[str, Any], caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "streaming.client")
    subscription = await asking.subscribe()
    asking.server.files[PATH] = dictionary = made()
    await offer(asking.peer, dictionary, **offered)
    await asking.peer.socket.send(data(5), text=True)
    assert (await anext(subscription)).id == 5
    await logged(caplog, "layer flights are not compressed with its dictionary")


async def test_what_is_no_dictionary_is_not_held(asking: Scene, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "streaming.client")
    asking.server.files[PATH] = b"something else"
    await offer(asking.peer, made())
    await logged(caplog, "it is no zstd dictionary")


async def test_of_a_layer_the_last_two_are_held(asking: Scene) -> None:
    ids: list[int] = []
    for number in range(3):
        asking.server.files[f"/{number}"] = dictionary = made(1000 * number)
        ids.append(await offer(asking.peer, dictionary, f"/{number}"))
        assert (await asking.peer.expect(UseDictionaries)).ids == ids[-2:]


async def test_who_does_not_ask_names_none(server: ScriptedServer, make_client: MakeClient) -> None:
    client: GeoStreamClient = make_client()
    connecting = asyncio.create_task(client.connect())
    peer = await server.peer()
    await connecting
    subscribing = asyncio.create_task(client.subscribe_features("flights"))
    request = await peer.expect(SubscribeFeatures)
    await peer.ack(request.subscription_id)
    await subscribing
    await client.close()
