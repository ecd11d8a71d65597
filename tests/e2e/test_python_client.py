"""The client and the server, over a real socket, with the server going away in between."""

from __future__ import annotations

import asyncio

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
