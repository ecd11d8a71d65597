"""Encodes tiles as `tile_data` messages.

Encoded forms are kept on the tile's body, which lives as long as it is being delivered.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from msgspec import UNSET

from streaming.core.interning import Interned
from streaming.engine.senders import Framing
from streaming.tiles.grid import Tile

from .encoding import Encoding, is_text
from .messages import DataEncoding, TileData
from .outbound import encode

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
"""Number of encoded forms kept of a body.

Each subscription id makes one more, and bodies of deltas are kept for later clients.
"""


class TileEncoder(Interned[TileVariant]):
    """The encoder of `tile_data` messages of one variant."""

    def __init__(self, variant: TileVariant) -> None:
        super().__init__(variant)
        self._text = is_text(variant.encoding)
        self._as_list = variant.data_encoding is DataEncoding.LIST

    def frames(self, tile: Tile, body: TileUpdate) -> list[Any]:
        """One message."""
        frames = body.frames.get(self)
        if frames is None:
            if len(body.frames) >= MAX_FORMS:
                body.frames.clear()
            frames = body.frames[self] = self.variant.framing.pack([encode(self._message(tile, body), self.variant.encoding)], self._text)
        return frames

    def _message(self, tile: Tile, body: TileUpdate) -> TileData:
        return TileData(
            subscription_id=self.variant.subscription_id,
            tile=(tile.x, tile.y, tile.z),
            data=list(body.data) if self._as_list else body.data,
            mime_type=body.mime,
            tileset=self.variant.tileset,
            version=body.version,
            encoding=body.encoding or UNSET,
            base_version=UNSET if body.base_version is None else body.base_version,
        )
