"""Which tiles are reported as changed: those that may have, each once, and for slow clients all of them together."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streaming.core.bbox import Box
from streaming.core.limits import OutboxLimits
from streaming.core.outbox import Outbox
from streaming.tiles.change_feed import EVERYTHING, ChangedArea, ChangedTiles
from streaming.tiles.change_tracker import _Union
from streaming.tiles.changed_boxes import ChangedBoxes
from streaming.tiles.grid import Tile
from streaming.tiles.tile_notices import TileNotices, changed_within, tiles_of_view

WORLD: Box = (-180.0, -85.0, 180.0, 85.0)
TILES = {Tile(z, x, y) for z in range(4) for x, y in product(range(1 << z), repeat=2)}
VIEW = tiles_of_view(WORLD, range(4))

longitudes, latitudes = st.floats(-180, 180), st.floats(-90, 90)
boxes = st.tuples(longitudes, latitudes, longitudes, latitudes).map(lambda box: (box[0], min(box[1], box[3]), box[2], max(box[1], box[3])))
areas = st.one_of(
    st.builds(ChangedArea, boxes, st.none() | st.just(range(1, 3))),
    st.sets(st.sampled_from(sorted(TILES)), max_size=5).map(lambda tiles: ChangedArea(tiles=frozenset(tiles))),
)
changes = st.one_of(areas, st.lists(areas, min_size=1, max_size=3).map(_Union), st.lists(boxes, min_size=1, max_size=5).map(ChangedBoxes))


@given(changes, boxes)
def test_exactly_the_changed_tiles_of_a_view_are_found(changed: ChangedTiles, box: Box) -> None:
    view = tiles_of_view(box, range(4))
    in_view = {tile for part in view for tile in part.tiles()}
    assert set(changed_within(changed, view, 1000) or ()) == {tile for tile in in_view if tile in changed}


@pytest.mark.parametrize("limit", [0, 1, 83])
def test_more_than_the_limit_are_any(limit: int) -> None:
    assert changed_within(ChangedArea(WORLD), VIEW, limit) is None


def test_everything_is_any_tile_but_not_in_an_empty_view() -> None:
    assert changed_within(EVERYTHING, VIEW, 1000) is None
    assert changed_within(EVERYTHING, (), 1000) == ()


class Sender:
    """Takes what it is given while it is `writable`."""

    def __init__(self) -> None:
        self.writable = True
        self.written: list[Any] = []
        self.on_writable = lambda: None

    def write(self, frames: list[Any]) -> None:
        self.written += frames


@pytest.fixture
def sender() -> Sender:
    return Sender()


@pytest.fixture
def notices(sender: Sender, settings: Any) -> TileNotices:
    settings.GEOSTREAM_TILE_NOTICE_SECONDS, settings.GEOSTREAM_TILE_NOTICE_TILES = 0.0, 3
    outbox = Outbox(sender, OutboxLimits(), lambda reason: None)
    return TileNotices(outbox, lambda tiles, version: [(tiles and sorted(tiles), version)], VIEW, "lane")


A, B, C, D = sorted(TILES)[1:5]


def test_a_slow_client_is_told_of_all_changes_at_once(notices: TileNotices, sender: Sender) -> None:
    sender.writable = False
    notices.add([A, B], "1")
    notices.add([B, C], "2")
    sender.writable = True
    sender.on_writable()
    assert sender.written == [([A, B, C], "2")]


def test_too_many_that_wait_are_any(notices: TileNotices, sender: Sender) -> None:
    sender.writable = False
    for tile in (A, B, C, D):
        notices.add([tile], "1")
    notices.add([A], "2")
    sender.writable = True
    sender.on_writable()
    assert sender.written == [(None, "2")]


def test_after_that_tiles_are_listed_again(notices: TileNotices, sender: Sender) -> None:
    notices.add(None, "1")
    notices.add([A], "2")
    assert sender.written == [(None, "1"), ([A], "2")]


def test_what_left_the_view_is_not_reported(notices: TileNotices, sender: Sender) -> None:
    sender.writable = False
    notices.add([Tile(0, 0, 0), Tile(3, 0, 0)], "1")
    notices.move(tiles_of_view(WORLD, range(1)))
    sender.writable = True
    sender.on_writable()
    assert sender.written == [([Tile(0, 0, 0)], "1")]


def test_no_tile_is_no_notice(notices: TileNotices, sender: Sender) -> None:
    notices.add([], "1")
    assert sender.written == []
