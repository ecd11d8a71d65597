"""The messages of file sync: JSON with a `type`, the operation inside an object with exactly one key.

What a client sends is read as a strict peer would read it; each fault has a code of its own. Unknown members are skipped everywhere but
beside the one key of the operation.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NoReturn

import msgspec

from streaming.core.errors import StreamError
from streaming.files.clients import CLIENT_ID
from streaming.files.metadata import HASH, MAX_SIZE, parse_time
from streaming.files.operations import wire_code
from streaming.files.paths import PathError, clean_path

MAX_OPERATION_ID = 2048
FEATURES = ("seq", "gzip", "epoch")
"""What a client may ask for."""


class ProtocolError(Exception):
    """A message that is not understood, or may not be sent now. `code` is this protocol's own."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


@dataclass(frozen=True, slots=True)
class Ping:
    """The client wants to know whether the server is there."""


@dataclass(frozen=True, slots=True)
class Subscribe:
    """From now on the client follows the folder. `since` is the number of the last change that it has."""

    client_id: str
    since: int | None = None
    epoch: str | None = None
    patterns: tuple[str, ...] = ()
    features: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class FileOperation:
    """The client announces what it has uploaded, or has something moved or deleted. `path` is where it is from."""

    kind: str
    path: str
    target: str = ""
    hash: str = ""
    directory: bool = False
    recursive: bool = False
    operation_id: str = ""


@dataclass(frozen=True, slots=True)
class Ignored:
    """A message that says nothing to the server: Pong, Ack, Error."""


Message = Ping | Subscribe | FileOperation | Ignored


def decode(data: str | bytes, depth: int, most_patterns: int = 32) -> Message:
    """Read one message. `ProtocolError`."""
    try:
        message = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        fail("json", "the message is not JSON")
    if not isinstance(message, dict):
        fail("json", "the message is not an object")
    kind = message.get("type")
    if kind == "Ping":
        return Ping()
    if kind == "Subscribe":
        return _subscribe(message, most_patterns)
    if kind == "FileOperation":
        return _file_operation(message, depth)
    if kind in ("Pong", "Ack", "Error"):
        return Ignored()
    fail("type", "the message has no type that is known here")


def fail(code: str, message: str) -> NoReturn:
    """Refuse a message."""
    raise ProtocolError(code, message)


def code_of(error: StreamError) -> str:
    """What an error is called on the wire."""
    return error.rule if isinstance(error, PathError) else wire_code(error)


def _subscribe(message: dict[str, Any], most_patterns: int) -> Subscribe:
    client_id = message.get("client_id")
    if not isinstance(client_id, str) or not CLIENT_ID.fullmatch(client_id):
        fail("client_id", "client_id must be 1 to 128 visible ASCII characters")
    since, epoch = message.get("since"), message.get("epoch")
    if since is not None and not _is_number(since):
        fail("since", "since must be the number of a change")
    if epoch is not None and not isinstance(epoch, str):
        fail("epoch", "epoch must be text")
    patterns, features = _texts(message, "patterns"), _texts(message, "features")
    if patterns is not None and len(patterns) > most_patterns:
        fail("patterns", f"a client may have {most_patterns} patterns")
    known = None if features is None else frozenset(features).intersection(FEATURES)
    return Subscribe(client_id, since, epoch, tuple(patterns or ()), known)


def _texts(message: dict[str, Any], name: str) -> list[str] | None:
    found = message.get(name)
    if found is not None and not (isinstance(found, list) and all(isinstance(each, str) for each in found)):
        fail(name, f"{name} must be a list of text")
    return found


def _file_operation(message: dict[str, Any], depth: int) -> FileOperation:
    operation, source = message.get("operation"), message.get("source_client")
    if not isinstance(operation, dict) or len(operation) != 1:
        fail("operation", "operation must be an object with exactly one key")
    if source is not None and not isinstance(source, str):
        fail("source_client", "source_client must be text or null")
    ((kind, body),) = operation.items()
    if kind not in _READERS or not isinstance(body, dict):
        fail("operation", "the operation must be Create, Update, Delete or Move, with an object")
    fields = _READERS[kind](body, depth)
    named = message.get("operation_id")
    if named is not None and (not isinstance(named, str) or len(named) > MAX_OPERATION_ID):
        fail("operation_id", "operation_id must be text")
    return FileOperation(kind, **fields, operation_id=f"{kind}:{fields['path']}" if named is None else named)


def _stored(body: dict[str, Any], depth: int) -> dict[str, Any]:
    metadata = _metadata(body.get("metadata"), depth)
    return {"path": metadata["path"], "hash": metadata["hash"], "directory": metadata["is_directory"]}


def _deleted(body: dict[str, Any], depth: int) -> dict[str, Any]:
    path = body["path"] if "path" in body else _metadata(body.get("metadata"), depth)["path"]
    return {"path": _path(path, depth), "recursive": body.get("recursive") is True}


def _moved(body: dict[str, Any], depth: int) -> dict[str, Any]:
    for source, target in (("from", "to"), ("old_path", "new_path"), ("source", "destination")):
        if source in body and target in body:
            return {"path": _path(body[source], depth), "target": _path(body[target], depth)}
    fail("operation", "Move must have from and to")


_READERS = {"Create": _stored, "Update": _stored, "Delete": _deleted, "Move": _moved}


def _metadata(found: Any, depth: int) -> dict[str, Any]:
    if not isinstance(found, dict):
        fail("metadata", "metadata must be an object")
    if not (_is_number(found.get("size")) and found["size"] <= MAX_SIZE):
        fail("size", "size must be a whole number of bytes")
    directory = found.get("is_directory")
    if not isinstance(directory, bool):
        fail("is_directory", "is_directory must be true or false")
    hash = found.get("hash")
    if not isinstance(hash, str) or not (HASH.fullmatch(hash) or (directory and not hash)):
        fail("hash", "hash must be SHA-256 in 64 lower-case hexadecimal digits")
    if parse_time(found.get("modified")) is None:
        fail("modified", "modified must be a time with an offset, as of RFC 3339")
    return {**found, "path": _path(found.get("path"), depth)}


def _path(value: Any, depth: int) -> str:
    try:
        return clean_path(value, depth)
    except PathError as error:
        fail(error.rule, error.message)


def _is_number(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0
