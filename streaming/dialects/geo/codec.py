"""The codec of the geo dialect: its public names, which the server, the Python client and the tests import from here.

`decode` reads any frame in any encoding; `encode` and the two fast paths write for one peer's `Encoding`; `negotiate` decides which
encoding follows a handshake. Nothing here does any I/O or knows of a connection.
"""

from __future__ import annotations

from .encoding import JSON_TEXT, Encoding, is_text
from .errors import DecodeError
from .handshake import PROTOCOL_VERSION, negotiate
from .message_decoder import decode, decoded_size
from .message_encoder import encode, event_bytes, feature_data_bytes

__all__ = [
    "JSON_TEXT",
    "PROTOCOL_VERSION",
    "DecodeError",
    "Encoding",
    "decode",
    "decoded_size",
    "encode",
    "event_bytes",
    "feature_data_bytes",
    "is_text",
    "negotiate",
]
