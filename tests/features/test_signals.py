"""Saving layers while Redis is away: the row is what counts."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from channels.layers import channel_layers

from streaming.core.redis import configure
from streaming.models import Layer, Tileset
from streaming.server.embedded_redis import RedisService
from streaming.tiles.paths import imagery_folder
from tests.server_process import free_port


@pytest.fixture
def no_redis(redis: None, redis_service: RedisService, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(channel_layers, "backends", {})
    port = free_port()
    configure(lambda: f"redis://127.0.0.1:{port}/0")
    yield
    configure(lambda: redis_service.url)


def test_a_layer_is_saved_without_redis(no_redis: None, transactional_db: None) -> None:
    Layer.objects.create(name="l")
    assert Layer.objects.filter(name="l").exists()


def test_a_layer_is_deleted_without_redis(no_redis: None, transactional_db: None, caplog: pytest.LogCaptureFixture) -> None:
    Layer.objects.create(name="l")
    Layer.objects.get(name="l").delete()
    assert not Layer.objects.exists()
    assert "Redis does not know yet" in caplog.text


def test_a_tileset_is_deleted_without_redis(no_redis: None, transactional_db: None, caplog: pytest.LogCaptureFixture) -> None:
    tileset = Tileset.objects.create(name="t", kind="pushed")
    imagery_folder("t").mkdir(parents=True)
    tileset.delete()
    assert not Tileset.objects.exists()
    assert not imagery_folder("t").exists()
    assert "Redis does not know yet that tileset t was saved or deleted" in caplog.text
