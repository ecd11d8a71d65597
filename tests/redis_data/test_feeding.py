"""What feeds layers from Redis: which names feed which layer, the ids of features, and what is counted."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from pytest_django import Settings

from streaming.core.redis import sync_redis
from streaming.dialects.redis_commands.service import RedisCommandsService
from streaming.engine.metrics import MetricsService
from streaming.engine.runtime import Runtime
from streaming.redis_data.layer_writer import identified
from streaming.redis_data.service import FeedingService
from streaming.redis_data.sources import LayerSources

from ..dialects.redis_commands.clients import until
from ..dialects.redis_commands.peer import RedisPeer


def feature(identity: Any = None, x: float = 0.0, **properties: Any) -> dict[str, Any]:
    named = {} if identity is None else {"id": identity}
    return {"type": "Feature", **named, "geometry": {"type": "Point", "coordinates": [x, 0.0]}, "properties": properties}


# -- the setting ---------------------------------------------------------------


def test_the_longest_name_that_fits_counts() -> None:
    sources = LayerSources("a:*=all, a:b:*=some,a:b:c=one, odd=name=two")
    names = ["a:x", "a:b:x", "a:b:c", "a:b:*", "odd=name", "b"]
    assert [sources.layer_of(name) for name in names] == ["all", "some", "one", "some", "two", None]


def test_what_geostream_keeps_in_redis_feeds_nothing() -> None:
    sources = LayerSources("*=everything")
    assert [sources.layer_of(name) for name in ("any", "geostream:{layer:x}:state", "asgi:group:x")] == ["everything", None, None]


@pytest.mark.parametrize("setting", ["pub:a", "=layer", "pub:a=", "pub:a=no layer", "pub:a=../b"])
def test_a_setting_that_cannot_be_read_is_refused(setting: str) -> None:
    with pytest.raises(ImproperlyConfigured, match="GEOSTREAM_REDIS_LAYERS"):
        LayerSources(setting)


# -- ids -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (feature("a", id="other"), "a"),
        (feature(7), 7),
        (feature(id="inner"), "inner"),
        (feature(id=0), 0),
        ({**feature(id="inner"), "id": None}, "inner"),
        (feature(), None),
        ({**feature(), "properties": None}, None),
    ],
)
def test_the_id_is_the_features_or_else_that_of_its_properties(written: dict[str, Any], expected: Any) -> None:
    identity, text = identified(json.dumps(written).encode())
    assert json.loads(text) == ({**written, "id": expected} if expected is not None else written)
    assert identity == (b"" if expected is None else json.dumps(expected).encode())


@pytest.mark.parametrize("text", [b"7", b"[]", b"null", b"{", b'{"id":', b'{"properties":{"id":NaN}}', b'{"properties":7}', b"\xff"])
def test_what_is_no_feature_is_left_to_be_refused(text: bytes) -> None:
    assert identified(text) == (b"", text)


# -- what is counted -----------------------------------------------------------


async def test_gaps_are_counted_with_those_of_clients(runtime: Runtime, settings: Settings) -> None:
    settings.GEOSTREAM_REDIS_LAYERS = "pub:fleet=fleet"
    feeding, commands = runtime.service(FeedingService), runtime.service(RedisCommandsService)
    await feeding.start()
    assert feeding.feeder is not None
    peer = await RedisPeer().opened()
    await peer.ask("SUB pub:a")
    buses = [commands._bus, feeding.feeder._bus]
    await until(lambda: all(bus.connected for bus in buses))
    sync_redis().execute_command("CLIENT", "KILL", "TYPE", "pubsub")
    await until(lambda: all(bus.gaps for bus in buses))
    (family,) = [family for family in await runtime.service(MetricsService).read() if family.name == "geostream_redis_gaps"]
    assert [sample.value for sample in family.samples] == [2]
    await peer.close()
