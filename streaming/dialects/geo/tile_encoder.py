"""Tiles into frames of the geo dialect, each variant once.

Encoded forms are kept on the tile's body, which lives as long as somebody is brought it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

from msgspec import UNSET

from streaming.engine.senders import Framing
from streaming.tiles.grid import Tile

from .encoding import Encoding, is_text
from .messages import DataEncoding, TileData
from .outbound import encode

if TYPE_CHECKING:
    from streaming.tiles.tile_updates import TileUpdate


@dataclass(frozen=True, slots=True)
class TileVariant:
    """All that the bytes of a tile's message depend on, besides the tile."""

    encoding: Encoding
    framing: Framing
    subscription_id: str
    tileset: str
    data_encoding: DataEncoding


MAX_FORMS = 16
"""Encoded forms kept of a body. Each subscription id makes one more, and deltas are kept for whoever comes next."""


class TileEncoder:
    """`tile_data` messages of one variant."""

    def __init__(self, variant: TileVariant) -> None:
        self.variant = variant
        self._text = is_text(variant.encoding)
        self._listed = variant.data_encoding is DataEncoding.LIST

    def frames(self, tile: Tile, body: TileUpdate) -> list[Any]:
        """One message."""
        found = body.frames.get(self)
        if found is None:
            if len(body.frames) >= MAX_FORMS:
                body.frames.clear()
            found = body.frames[self] = self.variant.framing.pack([encode(self._message(tile, body), self.variant.encoding)], self._text)
        return found

    def _message(self, tile: Tile, body: TileUpdate) -> TileData:
        return TileData(
            subscription_id=self.variant.subscription_id,
            tile=(tile.x, tile.y, tile.z),
            data=list(body.data) if self._listed else body.data,
            mime_type=body.mime,
            tileset=self.variant.tileset,
            version=body.version,
            encoding=body.encoding or UNSET,
            base_version=UNSET if body.base_version is None else body.base_version,
        )


_encoders: WeakValueDictionary[TileVariant, TileEncoder] = WeakValueDictionary()


def tile_encoder(variant: TileVariant) -> TileEncoder:
    """The one encoder of a variant."""
    encoder = _encoders.get(variant)
    if encoder is None:
        encoder = _encoders[variant] = TileEncoder(variant)
    return encoder
