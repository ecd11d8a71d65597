"""Feature subscriptions, as a JSON client sees them."""

from __future__ import annotations

from collections.abc import Callable

from streaming import adelete, apublish
from tests.geo_peer import GeoPeer, point

Connect = Callable[..., GeoPeer]


async def test_it_sends_a_snapshot_and_then_changes(geo: Connect) -> None:
    await apublish("l", point("a", 1, 1))
    peer = geo()
    ack = await peer.subscribe()
    assert (ack["success"], ack["snapshot_count"]) == (True, 1)
    assert await peer.next_change() == ("added", "a")
    await apublish("l", point("a", 2, 2))
    assert await peer.next_change() == ("updated", "a")
    await adelete("l", "a")
    assert await peer.next_change() == ("deleted", "a")


async def test_it_sends_what_enters_and_leaves_the_box(geo: Connect) -> None:
    await apublish("l", point(7, 50, 50))
    peer = geo()
    await peer.subscribe(bbox=[0, 0, 10, 10])
    assert await peer.nothing()
    await apublish("l", point(7, 5, 5))
    assert await peer.next_change() == ("added", 7)
    await apublish("l", point(7, 11, 5))
    message = await peer.next()
    assert (message["change_type"], message["id"], message["reason"]) == ("deleted", 7, "left_view")
