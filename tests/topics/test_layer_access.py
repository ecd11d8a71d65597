"""Who may follow a layer's topic, and what becomes of those who may not any more."""

from __future__ import annotations

from typing import Any

import pytest
from channels.db import database_sync_to_async
from django.contrib.auth import get_user_model
from django.db import OperationalError
from rest_framework_simplejwt.tokens import AccessToken

from streaming import apublish
from streaming.core.selection import Selection
from streaming.features.layers import catalogue
from streaming.models import Layer
from streaming.topics.builtin import layer as layer_module
from streaming.topics.tokens import mint
from tests.geo_peer import point

from .layer_peer import ConnectLayer, LayerPeer, delete_layer, save_layer


@database_sync_to_async
def token_of(name: str, **fields: Any) -> str:
    return str(AccessToken.for_user(get_user_model()._default_manager.create(username=name, **fields)))


async def test_a_private_layer_is_refused(connect_layer: ConnectLayer) -> None:
    await save_layer("secret", public=False)
    assert await (await connect_layer("layer:secret")).refused() == "unknown_layer"


async def test_a_channel_token_opens_no_private_layer(connect_layer: ConnectLayer) -> None:
    await save_layer("secret", public=False)
    assert await (await connect_layer("layer:secret")).refused(token=mint("alice", "layer:secret")) == "unknown_layer"


async def test_a_user_with_permission_reads_a_private_layer(connect_layer: ConnectLayer) -> None:
    await apublish("secret", point("a", 1, 1))
    await save_layer("secret", public=False)
    token = await token_of("boss", is_superuser=True)
    layer = await connect_layer("layer:secret", headers=[(b"authorization", f"Bearer {token}".encode())])
    assert (await layer.join())["count"] == 1


async def test_a_layer_that_becomes_private_ends_the_channel_until_it_is_public_again(layer: LayerPeer) -> None:
    await layer.join()
    await save_layer("l", public=False)
    join_ref, ref, topic, event, payload = await layer.peer.receive()
    assert (join_ref, ref, topic, event, payload["reason"]) == (layer.ref, layer.ref, "layer:l", "phx_error", "unauthorized")
    await apublish("l", point("a", 1, 1))
    assert await layer.rest() == []
    assert await layer.refused() == "unknown_layer"
    await save_layer("l", public=True)
    assert (await layer.join())["count"] == 1


@pytest.fixture
def no_watch(settings: Any) -> None:
    """Nobody looks whether layers have changed."""
    settings.GEOSTREAM_AUTH_CACHE_SECONDS = 3600.0


async def test_a_layer_that_becomes_private_during_the_join_ends_the_channel(
    no_watch: None, connect_layer: ConnectLayer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def becomes_private(selection: Selection, turns: Any, owner: Any) -> None:
        await Layer.objects.filter(name="l").aupdate(public=False)
        catalogue.clear()
        selection.run()

    await Layer.objects.abulk_create([Layer(name="l", public=True)])  # of which, as of the change, there is no notice
    layer = await connect_layer()
    monkeypatch.setattr(layer_module, "find", becomes_private)
    await layer.join()
    assert (await layer.peer.receive_event("phx_error"))[4]["reason"] == "unauthorized"


async def test_a_review_that_fails_is_done_again(layer: LayerPeer, monkeypatch: pytest.MonkeyPatch) -> None:
    failures: list[str] = []
    read = catalogue._read

    def fail_once() -> Any:
        if not failures:
            failures.append("locked")
            raise OperationalError("locked")
        return read()

    await layer.join()
    await layer.rest()
    monkeypatch.setattr(layer_module, "REVIEW_AGAIN_SECONDS", 0.01)
    monkeypatch.setattr(catalogue, "_read", fail_once)
    await save_layer("l", public=False)
    assert (await layer.peer.receive_event("phx_error"))[4]["reason"] == "unauthorized"
    assert failures


async def test_a_deleted_layer_empties_and_may_come_back(layer: LayerPeer) -> None:
    await apublish("l", point("a", 1, 1))
    await layer.join()
    await delete_layer("l")
    assert await layer.next_change() == ("deleted", "a")
    await apublish("l", point("b", 1, 1))
    assert await layer.next_change() == ("added", "b")
