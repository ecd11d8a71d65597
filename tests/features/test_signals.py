"""Saving layers while Redis is away: the row is what counts."""

from __future__ import annotations

import pytest
from channels.layers import channel_layers

from streaming.models import Layer, Tileset
from streaming.tiles.paths import imagery_folder


@pytest.fixture(autouse=True)
def own_channel_layer(no_redis: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(channel_layers, "backends", {})  # the layer has the URL that it was made with


def test_a_layer_is_saved_without_redis(transactional_db: None) -> None:
    Layer.objects.create(name="l")
    assert Layer.objects.filter(name="l").exists()


def test_a_layer_is_deleted_without_redis(transactional_db: None, caplog: pytest.LogCaptureFixture) -> None:
    Layer.objects.create(name="l")
    Layer.objects.get(name="l").delete()
    assert not Layer.objects.exists()
    assert "Redis does not know yet" in caplog.text


def test_a_tileset_is_deleted_without_redis(transactional_db: None, caplog: pytest.LogCaptureFixture) -> None:
    tileset = Tileset.objects.create(name="t", kind="pushed")
    imagery_folder("t").mkdir(parents=True)
    tileset.delete()
    assert not Tileset.objects.exists()
    assert not imagery_folder("t").exists()
    assert "Redis does not know yet that tileset t was saved or deleted" in caplog.text
