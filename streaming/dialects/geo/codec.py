"""The codec of the geo dialect, in one place for those who use it.

`decode` understands any frame in any encoding; `encode` and the two fast paths write for one peer's `Encoding`; `negotiate` says what a
handshake leads to. Nothing here does any I/O or knows of a connection.
"""

from __future__ import annotations

from .encoding import JSON_TEXT, Encoding, is_text
from .errors import DecodeError
from .handshake import PROTOCOL_VERSION, negotiate
from .inbound import decode
from .outbound import encode, event_bytes, feature_data_bytes

__all__ = [
    "JSON_TEXT",
    "PROTOCOL_VERSION",
    "DecodeError",
    "Encoding",
    "decode",
    "encode",
    "event_bytes",
    "feature_data_bytes",
    "is_text",
    "negotiate",
]
