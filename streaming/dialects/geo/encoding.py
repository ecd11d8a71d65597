"""The encoding of one peer's messages: format, compression, and variants of them.

An `Encoding` is hashable and normal: two encodings that give the same bytes are equal, so encoded forms can be shared between peers.
Use `Encoding.of`, which keeps it so.
"""

from __future__ import annotations

from dataclasses import dataclass

from .messages import Compression, MessageFormat


@dataclass(frozen=True, slots=True)
class Encoding:
    """`stored_zstd`: the peer may be one that cannot read standard compressed zstd blocks; it is only sent stored ones."""

    format: MessageFormat
    compression: Compression
    positional: bool
    stored_zstd: bool

    @classmethod
    def of(cls, format: MessageFormat, compression: Compression, *, positional: bool = False, stored_zstd: bool = False) -> Encoding:
        """The encoding without distinctions that make no difference to the bytes."""
        is_json = format is MessageFormat.JSON
        return cls(
            MessageFormat.JSON if is_json else MessageFormat.MESSAGE_PACK,
            compression,
            positional and not is_json,
            stored_zstd and compression is Compression.ZSTD,
        )


JSON_TEXT = Encoding.of(MessageFormat.JSON, Compression.NONE)


def is_text(encoding: Encoding) -> bool:
    """Whether messages of this encoding are text frames (browsers need that for JSON); all others are binary."""
    return encoding.format is MessageFormat.JSON and encoding.compression is Compression.NONE
