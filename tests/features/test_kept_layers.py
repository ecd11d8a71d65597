"""Large layers stay in the memory of a process, from its start on."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from django.test import AsyncClient

from streaming import apublish
from streaming.core import hub
from streaming.engine.runtime import Runtime
from streaming.features.kept_layers import KeptLayers
from streaming.features.service import FeatureService
from tests.geo_peer import point

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def two_are_many(settings: Any) -> None:
    settings.GEOSTREAM_KEPT_FEATURES = 2


async def publish_two_layers() -> None:
    await apublish("small", point("a", 8, 47))
    await apublish("large", [point("a", 8, 47), point("b", 8, 47)])


async def started(runtime: Runtime) -> KeptLayers:
    layers = KeptLayers(runtime)
    await layers.start()
    async with asyncio.timeout(10):
        while layers.loading:
            await asyncio.sleep(0)
    return layers


async def test_a_large_layer_is_loaded_at_the_start(runtime: Runtime) -> None:
    await publish_two_layers()
    await started(runtime)
    assert [name for name in runtime.hub.followers if name.startswith("layer:")] == ["layer:large"]


async def test_it_stays_though_nobody_looks_at_it(runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub, "LINGER_SECONDS", -1.0)
    await publish_two_layers()
    layers = await started(runtime)
    await runtime.hub._drop_idle()
    assert "layer:large" in runtime.hub.followers
    await apublish("large", point("c", 8, 47))
    runtime.hub.kept = frozenset()
    await runtime.hub._drop_idle()
    assert "layer:large" not in runtime.hub.followers
    await layers._look()
    assert len(runtime.hub.followers["layer:large"].items) == 3  # type: ignore[attr-defined]


async def test_none_is_kept_if_none_is_asked_for(runtime: Runtime, settings: Any) -> None:
    settings.GEOSTREAM_KEPT_FEATURES = 0
    await publish_two_layers()
    await started(runtime)
    assert not runtime.hub.kept


async def test_a_process_is_ready_once_it_has_them(runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    await publish_two_layers()
    loaded: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def slow(feed: Any) -> None:
        await loaded

    monkeypatch.setattr(runtime.hub, "replica", slow)
    layers = runtime.service(FeatureService)._kept
    await layers.start()
    answer = await AsyncClient().get("/readyz")
    assert answer.status_code == 503 and answer.json()["checks"]["large_layers"] is False
    loaded.set_result(None)
    async with asyncio.timeout(10):
        while (await AsyncClient().get("/readyz")).status_code != 200:
            await asyncio.sleep(0)
