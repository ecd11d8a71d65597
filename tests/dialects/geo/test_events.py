"""Event subscriptions, as a JSON client sees them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from streaming import apublish_event
from streaming.core.errors import StreamError
from tests.geo_peer import GeoPeer

Connect = Callable[..., GeoPeer]


async def subscribe(peer: GeoPeer, *types: str, **more: Any) -> dict[str, Any]:
    return await peer.ask(type="subscribe_events", subscription_id="e", event_types=list(types), **more)


async def test_it_sends_events_of_the_types_asked_for(geo: Connect) -> None:
    peer = geo()
    await subscribe(peer, "custom")
    await apublish_event("progress", {"task_id": "t"})
    await apublish_event("custom", {"n": 1})
    event = await peer.next()
    assert (event["type"], event["event_type"], event["payload"], event["gap"]) == ("event", "custom", {"n": 1}, None)


async def test_no_types_match_nothing(geo: Connect) -> None:
    peer = geo()
    assert (await subscribe(peer))["success"]
    await apublish_event("custom", {})
    assert await peer.nothing()


async def test_a_filter_is_judged_on_the_payload(geo: Connect) -> None:
    peer = geo()
    await subscribe(peer, "progress", filter="percent >= 50 AND event_type = 'progress'")
    await apublish_event("progress", {"percent": 10})
    await apublish_event("progress", {"percent": 50})
    assert (await peer.next())["payload"] == {"percent": 50}


async def test_payloads_that_are_no_objects_pass_only_without_a_filter(geo: Connect) -> None:
    peer = geo()
    await subscribe(peer, "custom", filters=[["a", "1"]])
    await apublish_event("custom", [1, 2])
    await apublish_event("custom", {"a": 1})
    assert (await peer.next())["payload"] == {"a": 1}


async def test_a_cursor_replays_what_was_missed(geo: Connect) -> None:
    witness = geo()
    cursor = (await subscribe(witness, "custom"))["cursor"]
    await apublish_event("custom", 1)
    await apublish_event("custom", 2)
    assert [(await witness.next())["payload"], (await witness.next())["payload"]] == [1, 2]
    peer = geo()
    ack = await subscribe(peer, "custom", cursor=cursor)
    assert (ack["recovered"], ack["snapshot_count"]) == (True, 2)
    assert [(await peer.next())["payload"], (await peer.next())["payload"]] == [1, 2]


async def test_events_beyond_the_log_are_counted_as_a_gap(geo: Connect, settings: Any) -> None:
    settings.GEOSTREAM_EVENTS_LOG = 100
    witness = geo()
    cursor = (await subscribe(witness, "custom"))["cursor"]
    for number in range(1000):
        await apublish_event("custom", number)
    while (await witness.next())["payload"] != 999:
        pass
    peer = geo()
    ack = await subscribe(peer, "custom", cursor=cursor)
    assert ack["recovered"] is False
    first = await peer.next()
    assert first["gap"] == first["payload"]


async def test_a_bad_filter_is_refused(geo: Connect) -> None:
    assert (await subscribe(geo(), "custom", filter="n >"))["code"] == "invalid_filter"


async def test_an_unknown_type_is_refused(geo: Connect) -> None:
    assert (await subscribe(geo(), "birthday"))["code"] == "bad_request"


async def test_event_subscriptions_cannot_be_updated(geo: Connect) -> None:
    peer = geo()
    await subscribe(peer, "custom")
    assert (await peer.ask(type="update_subscription", subscription_id="e", bbox=None))["code"] == "bad_request"


async def test_only_known_types_can_be_published(redis: None) -> None:
    with pytest.raises(StreamError, match="event_type must be one of"):
        await apublish_event("birthday", {})
