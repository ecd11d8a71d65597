"""Negotiates the encoding of a connection: the answer to a handshake.

The ack travels in the encoding the handshake came in, so that every peer can read it, whatever it asked for; what the ack names holds
from the next message on, both ways.
"""

from __future__ import annotations

from ...core.errors import StreamError
from .encoding import Encoding
from .messages import Compression, Handshake, HandshakeAck

PROTOCOL_VERSION = 1


def negotiate(handshake: Handshake, arrived: Encoding) -> tuple[HandshakeAck, Encoding]:
    """The ack, to be sent in the encoding `arrived`, and the encoding of everything after it.

    A peer that came with compressed positional MessagePack is talked out of compression: some of them write and expect
    compressed blocks that are not zstd's, and all of them accept the downgrade. Raises `unsupported_version`.
    """
    if handshake.version != PROTOCOL_VERSION:
        raise StreamError("unsupported_version", f"protocol version {handshake.version} is not supported; use version {PROTOCOL_VERSION}")
    compression = handshake.compression
    if arrived.positional and arrived.compression is Compression.ZSTD:
        compression = Compression.NONE
    ack = HandshakeAck(PROTOCOL_VERSION, handshake.format, compression)
    stored = arrived.stored_zstd or arrived.positional
    return ack, Encoding.of(handshake.format, compression, positional=arrived.positional, stored_zstd=stored)
