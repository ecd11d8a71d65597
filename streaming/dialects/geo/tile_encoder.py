"""Encodes tiles as `tile_data` messages.

Encoded forms are kept on the tile's update, which lives as long as it is being delivered.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from msgspec import UNSET

from streaming.core.interning import Interned
from streaming.engine.senders import Framing
from streaming.tiles.grid import Tile

from .encoding import Encoding, is_text
from .message_encoder import encode
from .messages import DataEncoding, TileData

if TYPE_CHECKING:
    from streaming.tiles.tile_updates import TileUpdate


@dataclass(frozen=True, slots=True)
class TileVariant:
    """All that the bytes of a message depend on, besides the tile."""

    encoding: Encoding
    framing: Framing
    subscription_id: str
    tileset: str
    data_encoding: DataEncoding


MAX_FORMS = 16
"""Number of encoded forms kept of an update.

Each subscription id makes one more, and those of deltas are kept for later clients.
"""


class TileEncoder(Interned[TileVariant]):
    """The encoder of `tile_data` messages of one variant."""

    def __init__(self, variant: TileVariant) -> None:
        super().__init__(variant)
        self._text = is_text(variant.encoding)
        self._as_list = variant.data_encoding is DataEncoding.LIST

    def frames(self, tile: Tile, update: TileUpdate) -> list[Any]:
        """One message."""
        frames = update.frames.get(self)
        if frames is None:
            if len(update.frames) >= MAX_FORMS:
                update.frames.clear()
            payload = encode(self._message(tile, update), self.variant.encoding)
            frames = update.frames[self] = self.variant.framing.pack([payload], self._text)
        return frames

    def _message(self, tile: Tile, update: TileUpdate) -> TileData:
        return TileData(
            subscription_id=self.variant.subscription_id,
            tile=(tile.x, tile.y, tile.z),
            data=list(update.data) if self._as_list else update.data,
            mime_type=update.mime,
            tileset=self.variant.tileset,
            version=update.version,
            encoding=update.encoding or UNSET,
            base_version=UNSET if update.base_version is None else update.base_version,
        )
