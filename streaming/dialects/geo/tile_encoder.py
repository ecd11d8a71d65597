"""Encodes tiles as `tile_data` messages.

Encoded forms are kept on the tile's update, which lives as long as it is being delivered.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import UNSET

from streaming.core.interning import Interned
from streaming.engine.senders import Framing
from streaming.tiles.grid import Tile

from .encoding import Encoding, is_text
from .message_encoder import encode
from .messages import Compression, DataEncoding, MessageFormat, TileData

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


LARGE = 256 * 1024
"""Bytes to be written or compressed beyond which a tile is encoded in a thread."""
LIST_FACTOR, ZSTD_FACTOR = 4, 4
"""How much longer each byte takes as a number of a list, and compressed."""
PIECE = 32 * 1024
"""Bytes written as numbers at a time: about a millisecond, for which a thread keeps the interpreter's lock."""
_JSON_NUMBERS = [b"%d" % byte for byte in range(256)]
_PACKED_NUMBERS = [bytes((byte,)) if byte < 128 else bytes((0xCC, byte)) for byte in range(256)]

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

    def takes_long(self, update: TileUpdate) -> bool:
        """Whether `frames` would keep others waiting; it may be called in a thread first."""
        effort = len(update.data) * (LIST_FACTOR if self._as_list else 1)
        if self.variant.encoding.compression is Compression.ZSTD:
            effort *= ZSTD_FACTOR
        return effort > LARGE and self not in update.frames

    def frames(self, tile: Tile, update: TileUpdate) -> list[Any]:
        """One message."""
        frames = update.frames.get(self)
        if frames is None:
            if len(update.frames) >= MAX_FORMS:
                del update.frames[next(iter(update.frames))]
            payload = encode(self._message(tile, update), self.variant.encoding)
            frames = update.frames[self] = self.variant.framing.pack([payload], self._text)
        return frames

    def _message(self, tile: Tile, update: TileUpdate) -> TileData:
        return TileData(
            subscription_id=self.variant.subscription_id,
            tile=(tile.x, tile.y, tile.z),
            data=self._numbers(update.data) if self._as_list else update.data,
            mime_type=update.mime,
            tileset=self.variant.tileset,
            version=update.version,
            encoding=update.encoding or UNSET,
            base_version=UNSET if update.base_version is None else update.base_version,
        )

    def _numbers(self, data: bytes) -> msgspec.Raw:
        """The bytes as a list of numbers, encoded."""
        pieces = [data[start : start + PIECE] for start in range(0, len(data), PIECE)]
        if self.variant.encoding.format is MessageFormat.JSON:
            return msgspec.Raw(b"[%b]" % b",".join([b",".join([_JSON_NUMBERS[byte] for byte in piece]) for piece in pieces]))
        return msgspec.Raw(_array_header(len(data)) + b"".join([b"".join([_PACKED_NUMBERS[byte] for byte in piece]) for piece in pieces]))


def _array_header(length: int) -> bytes:
    if length < 16:
        return bytes((0x90 | length,))
    return b"\xdc" + length.to_bytes(2, "big") if length < 65536 else b"\xdd" + length.to_bytes(4, "big")
