"""The client and the server, over a real socket, with the server going away in between."""

from __future__ import annotations

import asyncio
import re
import urllib.request
from typing import Any

import pytest

from streaming.client import Backoff, GeoStreamClient
from tests.geo_peer import point
from tests.server_process import ServerProcess


@pytest.mark.parametrize(("format", "compression", "delta"), [("Json", "None", False), ("MessagePack", "Zstd", True)])
async def test_it_follows_a_layer_across_a_killed_server(usual: ServerProcess, format: str, compression: str, delta: bool) -> None:
    layer = f"layer-{format}"
    await asyncio.to_thread(usual.publish, layer, point("stays", 1, 1), point("goes", 2, 2), point("outside", 50, 50))
    backoff = Backoff(initial=0.1, maximum=0.5)
    async with GeoStreamClient(usual.ws_url, format=format, compression=compression, backoff=backoff) as client:  # type: ignore[arg-type]
        sub = await client.subscribe_features(layer, bbox=(0, 0, 10, 10), delta=delta)
        changes = aiter(sub)
        assert {(await anext(changes)).id, (await anext(changes)).id} == {"stays", "goes"}
        await asyncio.to_thread(usual.kill)
        await asyncio.to_thread(usual.start)
        await asyncio.to_thread(usual.publish, layer, point("goes", 60, 60), point("comes", 3, 3))
        seen = set()
        while seen != {("deleted", "goes"), ("added", "comes")}:
            change = await anext(changes)
            seen.add((change.type, change.id))
        assert set(sub.features) == {"stays", "comes"}
        long = {"text": "that is not sent again " * 10}
        for number in (1, 2):
            await asyncio.to_thread(usual.publish, layer, point("comes", 3, 3, n=number, **long))
            assert (await anext(changes)).feature["properties"] == {"n": number, **long}
        await sub.update(bbox=(40, 40, 70, 70))
        while set(sub.features) != {"goes", "outside"}:
            await anext(changes)


def compressed_bytes(server: ServerProcess) -> float:
    """What the server has sent that was compressed with dictionaries."""
    with urllib.request.urlopen(f"{server.url}/metrics", timeout=10) as answer:
        found = re.findall(r"^geostream_dictionary_sent_bytes_total\S* (\S+)$", answer.read().decode(), re.MULTILINE)
    return sum(map(float, found))


@pytest.mark.parametrize("format", ["Json", "MessagePack"])
async def test_small_messages_are_compressed_with_the_layers_dictionary(usual: ServerProcess, format: str) -> None:
    layer = f"ships-{format}"

    def ship(number: int, speed: int) -> dict[str, Any]:
        return point(f"ship-{number}", number / 10, number / 7, name=f"MS Example {number}", flag="Panama", kind="tanker", speed=speed)

    await asyncio.to_thread(usual.publish, layer, *(ship(number, 0) for number in range(200)))
    backoff = Backoff(initial=0.1, maximum=0.5)
    async with GeoStreamClient(usual.ws_url, format=format, dictionaries=True, backoff=backoff) as client:  # type: ignore[arg-type]
        subscription = await client.subscribe_features(layer)
        speed, sent = 0, 0.0
        while not sent or speed < 5:
            speed += 1
            await asyncio.to_thread(usual.publish, layer, ship(speed % 200, speed))
            while subscription.features.get(f"ship-{speed % 200}") != ship(speed % 200, speed):
                await anext(subscription)
            sent = await asyncio.to_thread(compressed_bytes, usual)
        await asyncio.to_thread(usual.kill)
        await asyncio.to_thread(usual.start)
        await asyncio.to_thread(usual.publish, layer, ship(7, 99))
        while subscription.features["ship-7"] != ship(7, 99):
            await anext(subscription)
    assert await asyncio.to_thread(compressed_bytes, usual)
