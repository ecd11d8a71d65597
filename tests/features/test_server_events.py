"""The server's own events: one for each change, and nobody waits for them."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from streaming.features import server_events as module
from streaming.features.events import EVENT_TYPES
from streaming.features.publishing import publish
from streaming.features.server_events import ServerEvents
from streaming.models import Layer, Tileset
from streaming.redis_data.layer_writer import LayerWriter, ReceivedValue
from tests.geo_peer import point
from tests.server_events import events, server_events_on

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("redis")]
DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture(autouse=True)
def _on(settings: Any) -> Iterator[None]:
    with server_events_on(settings):
        yield


def names() -> list[tuple[str, str]]:
    return [(each.get("event", each["type"]), each["source"]) for each in events()]


def test_a_layer_is_created_changed_and_removed() -> None:
    layer = Layer.objects.create(name="l", title="Lines")
    layer.title = "Linien"
    layer.save()
    layer.save()  # nothing has changed
    layer.delete()
    assert names() == [("layer_created", "layer:l"), ("layer_changed", "layer:l"), ("layer_removed", "layer:l")]
    assert events()[1] == {
        "type": "custom",
        "source": "layer:l",
        "event": "layer_changed",
        "layer": "l",
        "title": "Linien",
        "message": "layer l was changed",
    }


def test_a_layer_that_is_published_to_is_created_once() -> None:
    publish("l", [point(number, 0, 0) for number in range(3)])
    publish("l", point(1, 1, 1))
    assert names() == [("layer_created", "layer:l")]


def test_a_tileset_is_created_changed_and_removed() -> None:
    tileset = Tileset.objects.create(name="t", kind="pushed")
    tileset.max_zoom = 5
    tileset.save()
    tileset.delete()
    assert [name for name, _ in names()] == ["tileset_created", "tileset_changed", "tileset_removed"]
    assert events()[0] == {
        "type": "custom",
        "source": "tileset:t",
        "event": "tileset_created",
        "tileset": "t",
        "title": "t",
        "message": "tileset t was created",
    }


def test_the_same_change_seen_by_several_processes_is_one_event() -> None:
    processes = [ServerEvents(), ServerEvents()]
    for change in ("1", "2"):
        for process in processes:
            process.emit("file_change", "tileset:t", {"change": change}, once=change)
    assert all(process.flush(10) for process in processes)
    assert sorted(each["change"] for each in events()) == ["1", "2"]


def test_more_than_a_minute_may_have_are_dropped_and_counted(settings: Any) -> None:
    settings.GEOSTREAM_SERVER_EVENTS_PER_MINUTE = 3
    emitter = ServerEvents()
    for number in range(10):
        emitter.emit("custom", "layer:l", {"number": number})
    emitter.emit("error", "layer:l", {})  # each type has its own allowance
    assert emitter.flush(10)
    assert (len(events()), emitter.published["custom"], emitter.dropped["custom"]) == (4, 3, 7)


def test_they_can_be_switched_off(settings: Any) -> None:
    settings.GEOSTREAM_SERVER_EVENTS = False
    Layer.objects.create(name="l")
    assert events() == []


def test_without_redis_nothing_waits_and_nothing_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: object) -> None:
        raise module.StreamError("redis_unavailable", "away")

    emitter = ServerEvents()
    monkeypatch.setattr(module, "publish_event", away)
    emitter.emit("custom", "layer:l", {})
    assert emitter.flush(10)
    assert (emitter.published["custom"], emitter.dropped["custom"]) == (0, 1)


def test_a_layer_without_room_is_an_error(tmp_path: Path) -> None:
    Layer.objects.create(name="l", max_features=1)
    path = tmp_path / "features.geojsonl"
    path.write_text("".join(json.dumps(point(number, 0, 0)) + "\n" for number in range(3)))
    with pytest.raises(CommandError):
        call_command("publish", str(path), layer="l", stdout=io.StringIO(), stderr=io.StringIO())
    assert events()[1:] == [
        {
            "type": "error",
            "source": "layer:l",
            "error": "the layer holds as many features as it may",
            "context": {"layer": "l", "code": "layer_full", "refused": 2},
        }
    ]


async def test_what_a_layer_is_fed_with_and_cannot_take_is_an_error(runtime: object) -> None:
    writer = LayerWriter()
    for _ in range(2):
        values = [ReceivedValue(0.0, "positions", "fleet", json.dumps(each).encode()) for each in (point(1, 0, 0), point(2, 0, 95))]
        await writer.write(values)
    from asgiref.sync import sync_to_async

    found = [each for each in await sync_to_async(events)() if each["type"] == "error"]
    assert [(each["source"], each["context"]["code"]) for each in found] == [("layer:fleet", "invalid_feature")]


def test_each_kind_is_documented() -> None:
    text = (DOCS / "http-api.md").read_text().split("### The server's own events")[1].split("\n## ")[0]
    kinds = [f"{what}_{change}" for what in ("layer", "tileset") for change in ("created", "changed", "removed")]
    for name in (*kinds, *(kind for kind in EVENT_TYPES if kind != "processing_status")):
        assert f"`{name}`" in text, name
