"""A tile is encoded once for all who get the same bytes, and what is kept of that stays small."""

from __future__ import annotations

from streaming.dialects.geo.encoding import JSON_TEXT
from streaming.dialects.geo.messages import DataEncoding
from streaming.dialects.geo.tile_encoder import MAX_FORMS, TileEncoder, TileVariant
from streaming.engine.senders import RawFraming
from streaming.tiles.grid import Tile
from streaming.tiles.tile_cache import rendered_tile
from streaming.tiles.tile_updates import whole_tile

FRAMING = RawFraming()
ROOT = Tile(0, 0, 0)


def variant(subscription_id: str) -> TileVariant:
    return TileVariant(JSON_TEXT, FRAMING, subscription_id, "red", DataEncoding.BASE64)


def test_equal_subscriptions_share_the_frames() -> None:
    body = whole_tile(rendered_tile(b"tile", "image/png"))
    assert TileEncoder.of(variant("t")).frames(ROOT, body) is TileEncoder.of(variant("t")).frames(ROOT, body)


def test_a_body_does_not_keep_the_frames_of_everybody() -> None:
    body = whole_tile(rendered_tile(b"tile", "image/png"))
    for number in range(10 * MAX_FORMS):
        TileEncoder.of(variant(f"subscription-{number}")).frames(ROOT, body)
    assert len(body.frames) <= MAX_FORMS
