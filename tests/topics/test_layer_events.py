"""Changes of a layer as frames of its topic: what is shared, and what a deletion says."""

from __future__ import annotations

import json
from typing import Any

import pytest

from streaming.core.deliveries import Delivery
from streaming.core.items import Item
from streaming.core.presentation import Presentation
from streaming.dialects.phoenix.encoder import room_encoder
from streaming.dialects.phoenix.serializers import V1, V2
from streaming.engine.senders import ASGI, RAW
from streaming.topics.layer_events import LayerEncoder, LayerVariant, event_payload

WHOLE = Presentation()


def delivery(seq: int | None = 5) -> Delivery:
    feature = b'{"geometry":null,"id":"a","properties":{"speed":3,"x":1},"type":"Feature"}'
    return Delivery("updated", '"a"', Item('"a"', feature, 0), "epoch", seq)


def encoder(topic: str = "layer:l", serializer: Any = V2, presentation: Presentation = WHOLE) -> LayerEncoder:
    return LayerEncoder.of(LayerVariant(topic, room_encoder(serializer, ASGI), presentation))


def test_members_that_speak_alike_share_an_encoder() -> None:
    assert encoder() is encoder()


@pytest.mark.parametrize("other", [{"topic": "layer:l:x"}, {"serializer": V1}, {"presentation": Presentation(3857)}])
def test_members_that_do_not_have_one_of_their_own(other: dict[str, Any]) -> None:
    assert encoder(**other) is not encoder()


def test_a_frame_is_made_once_for_all_filters() -> None:
    told, shared = delivery(), encoder()
    assert shared.frames([told])[0] is shared.frames([told])[0]


def test_what_it_says_is_made_once_for_all_topics() -> None:
    told = delivery()
    assert event_payload(told, WHOLE) is event_payload(told, WHOLE)


def test_a_presentation_shows_what_it_shows() -> None:
    (frame,) = encoder(presentation=Presentation(properties=("speed",))).frames([delivery()])
    assert json.loads(frame)[4]["feature"]["properties"] == {"speed": 3}


@pytest.mark.parametrize("reason", ["left_view", "deleted", "expired"])
def test_a_deletion_has_its_id_and_reason(reason: str) -> None:
    told = Delivery("deleted", '"\\"a\\""', None, "epoch", 7, reason)
    expected = [None, None, "layer:l", "deleted", {"id": '"a"', "reason": reason, "cursor": "epoch:7"}]
    assert [json.loads(frame) for frame in encoder().frames([told])] == [expected]


def test_without_a_promise_there_is_no_cursor() -> None:
    (frame,) = encoder().frames([delivery(seq=None)])
    assert json.loads(frame)[4].keys() == {"feature"}


def test_each_delivery_is_an_event() -> None:
    assert [json.loads(frame)[4]["cursor"] for frame in encoder().frames([delivery(1), delivery(2)])] == ["epoch:1", "epoch:2"]


def test_what_goes_to_a_transport_is_in_one_piece() -> None:
    raw = LayerEncoder.of(LayerVariant("layer:l", room_encoder(V2, RAW), WHOLE))
    one, two = delivery(1), delivery(2)
    assert raw.frames([one, two]) == [raw.frames([one])[0] + raw.frames([two])[0]]
