"""A strict peer: decodes messages as a program in Rust does whose types have exactly the documented members.

Unknown members are skipped in the message, in the body of the operation and in the metadata, but never beside the operation's one key.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.(\d{3}|\d{6}|\d{9}))?Z")


class Metadata(msgspec.Struct):
    path: str
    size: int
    hash: str
    modified: str
    is_directory: bool


class Stored(msgspec.Struct):
    metadata: Metadata


class Deleted(msgspec.Struct):
    path: str


class Moved(msgspec.Struct):
    source: str = msgspec.field(name="from")
    target: str = msgspec.field(name="to")


class Subscribe(msgspec.Struct, tag=True):
    client_id: str


class FileOperation(msgspec.Struct, tag=True):
    operation: dict[str, msgspec.Raw]
    source_client: str | None = None


class Ack(msgspec.Struct, tag=True):
    operation_id: str


class Ping(msgspec.Struct, tag=True):
    pass


class Pong(msgspec.Struct, tag=True):
    pass


class Error(msgspec.Struct, tag=True):
    message: str


MEMBERS = {"Create": Stored, "Update": Stored, "Delete": Deleted, "Move": Moved}
_decode = msgspec.json.Decoder(Subscribe | FileOperation | Ack | Ping | Pong | Error).decode


def decode(text: str) -> Any:
    """The message, with the operation decoded. `ValueError` for what such a peer refuses."""
    message = _decode(text)
    if isinstance(message, FileOperation):
        if len(message.operation) != 1:
            raise ValueError("an operation has exactly one key")
        ((kind, body),) = message.operation.items()
        if kind not in MEMBERS:
            raise ValueError(f"there is no operation {kind}")
        found = msgspec.json.decode(body, type=MEMBERS[kind])
        if isinstance(found, Stored):
            _check(found.metadata)
    return message


def _check(metadata: Metadata) -> None:
    if not 0 <= metadata.size < 2**64:
        raise ValueError("size is an unsigned number of 64 bits")
    if not TIME.fullmatch(metadata.modified):
        raise ValueError(f"{metadata.modified} is no time in UTC with the fewest digits")
