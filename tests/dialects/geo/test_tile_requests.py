"""What cannot be asked for is refused with a code; nothing is joined, and the connection goes on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgpack
import pytest

from streaming.engine.lifespan import running
from streaming.engine.recorder import Recorder
from streaming.models import Subscription
from streaming.tiles.live_tilesets import LiveTilesets
from tests.geo_peer import GeoPeer

from .tile_peers import add, burst, subscribe

Geo = Callable[..., GeoPeer]


@pytest.mark.parametrize(
    ("code", "asked"),
    [
        ("too_many_tiles", {"zooms": (15, 20)}),
        ("too_many_tiles", {"zooms": (0, 41), "bbox": [-180, -85, 180, 85]}),
        ("bad_request", {"zooms": (40, 41)}),
        ("bad_request", {"zooms": (-1, 3)}),
        ("bad_request", {"zooms": (0, 300)}),
        ("invalid_bbox", {"bbox": [0, 10, 5, 0]}),
        ("invalid_bbox", {"bbox": [0, -91, 5, 0]}),
        ("bad_request", {"bbox": [0, 0, 5]}),
        ("bad_request", {"tile_size": 1000}),
        ("bad_request", {"data_encoding": "bin"}),
        ("bad_request", {"data_encoding": "base65"}),
        ("bad_request", {"delta": "xor+zstd"}),
        ("bad_request", {"have": {"red": [[0, 0, "old"]]}}),
        ("unknown_tileset", {"tileset": "green"}),
        ("unknown_tileset", {"tileset": []}),
        ("unknown_tileset", {"tileset": ["red", "green"]}),
        ("bad_request", {"subscription_id": "x" * 201}),
    ],
)
async def test_it_is_refused(geo: Geo, red: Path, code: str, asked: dict[str, Any]) -> None:
    await add("red", red, max_zoom=20)
    peer = geo()
    ack = await subscribe(peer, **asked)
    assert (ack["success"], ack["code"]) == (False, code), ack
    assert await peer.nothing()
    assert (await subscribe(peer))["success"]
    assert len(await burst(peer)) == 3


async def test_without_a_name_the_only_tileset_is_meant(geo: Geo, red: Path) -> None:
    await add("red", red)
    peer = geo()
    ack = await subscribe(peer, tileset=None)
    assert list(ack["tilesets"]) == ["red"]
    assert {tile["tileset"] for tile in await burst(peer)} == {"red"}


async def test_without_a_name_none_of_two_is_meant(geo: Geo, red: Path) -> None:
    await add("red", red)
    await add("other", red)
    assert (await subscribe(geo(), tileset=None))["code"] == "unknown_tileset"


async def test_a_private_tileset_does_not_count_for_who_may_not_read_it(geo: Geo, red: Path) -> None:
    await add("red", red)
    await add("secret", red, public=False)
    assert list((await subscribe(geo(), tileset=None))["tilesets"]) == ["red"]


async def test_a_box_of_nan_is_refused(geo: Geo, red: Path) -> None:
    await add("red", red)
    peer = geo()
    box = [float("nan")] * 4
    request = {"type": "subscribe_tiles", "subscription_id": "t", "bbox": box, "zoom_range": [0, 3], "tile_size": None, "tileset": "red"}
    await peer.send(msgpack.packb(request))
    ack = msgpack.unpackb(await peer.receive())
    assert (ack["success"], ack["code"]) == (False, "bad_request")


async def test_a_private_tileset_needs_a_login(geo: Geo, red: Path) -> None:
    await add("red", red, public=False)
    assert (await subscribe(geo()))["code"] == "unknown_tileset"


async def test_a_source_that_cannot_be_read_is_told(geo: Geo, red: Path) -> None:
    await add("red", red)
    red.unlink()
    assert (await subscribe(geo()))["code"] == "invalid_source"


async def test_a_source_outside_the_allowed_folders_is_not_read(geo: Geo, red: Path) -> None:
    await add("red", Path("/etc/passwd"))
    assert (await subscribe(geo()))["code"] == "invalid_source"


async def test_a_refused_subscription_follows_nothing(geo: Geo, red: Path) -> None:
    await add("red", red, max_zoom=20)
    await subscribe(geo(), zooms=(15, 20))
    assert running().service(LiveTilesets).live == {}  # type: ignore[union-attr]


async def test_when_the_last_viewer_has_gone_nothing_is_followed(geo: Geo, red: Path) -> None:
    await add("red", red)
    peer = geo()
    await subscribe(peer)
    assert len(running().service(LiveTilesets).live) == 1  # type: ignore[union-attr]
    await peer.ask(type="unsubscribe", subscription_id="t")
    assert running().service(LiveTilesets).live == {}  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "change", [{"bbox": None}, {"filters": [["a", "b"]]}, {"zoom_range": {"start": 40, "end": 41}}, {"bbox": [0, 0, 5]}]
)
async def test_an_update_that_cannot_be_is_refused_and_the_view_stays(geo: Geo, red: Path, change: dict[str, Any]) -> None:
    await add("red", red)
    peer = geo()
    await subscribe(peer)
    await burst(peer)
    ack = await peer.ask(type="update_subscription", subscription_id="t", **change)
    assert (ack["success"], ack["code"]) == (False, "bad_request")
    (info,) = (await peer.ask(type="list_subscriptions"))["subscriptions"]
    assert (info["kind"], info["tileset"], info["zoom_range"]) == ("tiles", "red", {"start": 0, "end": 3})


async def test_of_a_request_no_more_is_kept_than_is_understood(geo: Geo, red: Path) -> None:
    """A hundred subscriptions of half a megabyte each would be held, and listed, for ever."""
    await add("red", red)
    peer = geo()
    have = {"nowhere": [[0, 0, 0, "x" * 50]] * 1000}
    assert (await subscribe(peer, tileset=["red"] * 1000, delta=["xor+zstd", *map(str, range(1000))], have=have))["success"]
    await burst(peer)
    (info,) = (await peer.ask(type="list_subscriptions"))["subscriptions"]
    assert (info["tileset"], info["delta"]) == (["red"], ["xor+zstd"])
    (connection,) = running().connections.open.values()  # type: ignore[union-attr]
    assert connection.session.subscriptions["t"].message.have is None  # type: ignore[union-attr]


async def test_a_feature_subscription_has_no_zooms(geo: Geo, red: Path) -> None:
    peer = geo()
    assert (await peer.subscribe(None))["success"]
    ack = await peer.ask(type="update_subscription", subscription_id="s", zoom_range={"start": 0, "end": 1})
    assert ack["code"] == "bad_request"


async def test_the_admin_s_row_of_many_tilesets_has_room(geo: Geo, red: Path) -> None:
    names = [f"a-tileset-with-a-long-name-{number}" for number in range(10)]
    for name in names:
        await add(name, red)
    peer = geo()
    assert (await subscribe(peer, tileset=names))["success"]
    await running().service(Recorder).write()  # type: ignore[union-attr]
    row = await Subscription.objects.aget(kind="tiles")
    assert row.feed.startswith("tiles:a-tileset")
    assert len(row.feed) <= Subscription._meta.get_field("feed").max_length  # type: ignore[attr-defined]
