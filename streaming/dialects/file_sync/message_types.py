"""The messages of file sync for the AsyncAPI document. What clients send is read by `messages.decode`."""

from __future__ import annotations

from typing import Any

from streaming.engine.message_types import MessageType, SocketDescription

from .messages import FEATURES

_TEXT = {"type": "string"}
_SOURCE = {"type": ["string", "null"]}
_NUMBER = {"type": "integer", "minimum": 0}
_METADATA: dict[str, Any] = {
    "type": "object",
    "required": ["path", "size", "modified", "hash", "is_directory"],
    "properties": {
        "path": _TEXT,
        "size": _NUMBER,
        "modified": {"type": "string", "format": "date-time"},
        "hash": {"type": "string", "pattern": "^([0-9a-f]{64})?$", "description": "SHA-256; empty of a directory"},
        "is_directory": {"type": "boolean"},
    },
}


def _operation(*required: str, **properties: Any) -> dict[str, Any]:
    return {"type": "object", "required": [*required], "properties": properties}


_OPERATIONS = {
    "Create": _operation("metadata", metadata=_METADATA),
    "Update": _operation("metadata", metadata=_METADATA),
    "Delete": _operation("path", path=_TEXT, recursive={"type": "boolean"}),
    "Move": {"type": "object", "required": ["from", "to"], "properties": {"from": _TEXT, "to": _TEXT, "metadata": _METADATA}},
}
_CHANGE: dict[str, Any] = {
    "type": "object",
    "minProperties": 1,
    "maxProperties": 1,
    "properties": _OPERATIONS,
    "additionalProperties": False,
}


def _message(kind: str, *required: str, **properties: Any) -> dict[str, Any]:
    return {"type": "object", "required": ["type", *required], "properties": {"type": {"const": kind}, **properties}}


_FILE = {
    "path": "maps/ortho.tif",
    "size": 1048576,
    "modified": "2026-01-31T12:00:00Z",
    "hash": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "is_directory": False,
}
_MOVE = {"Move": {"from": "maps/ortho.tif", "to": "old/ortho.tif"}}

SOCKET = SocketDescription(
    "files",
    "File sync",
    ("/ws/files",),
    "Follows the folder of files, and announces what was uploaded over HTTP. Clients that ask for `gzip` are sent large messages "
    "compressed, as binary frames.",
    (
        MessageType(
            "Subscribe",
            "client",
            _message(
                "Subscribe",
                "client_id",
                client_id={"type": "string", "pattern": "^[!-~]{1,128}$"},
                since={"type": ["integer", "null"], "minimum": 0},
                epoch={"type": ["string", "null"]},
                patterns={"type": ["array", "null"], "items": _TEXT},
                features={"type": ["array", "null"], "items": {"type": "string", "examples": [*FEATURES]}},
            ),
            "Follows the folder from now on, or from a change on.",
            [
                {"type": "Subscribe", "client_id": "laptop-1"},
                {
                    "type": "Subscribe",
                    "client_id": "laptop-1",
                    "since": 41,
                    "epoch": "6f2c",
                    "features": [*FEATURES],
                    "patterns": ["*.tif"],
                },
            ],
        ),
        MessageType(
            "FileOperation",
            "client",
            _message("FileOperation", "operation", operation=_CHANGE, source_client=_SOURCE, operation_id=_TEXT),
            "Announces what the client has uploaded, or has something moved or deleted.",
            [
                {"type": "FileOperation", "operation": {"Update": {"metadata": _FILE}}, "source_client": "laptop-1"},
                {"type": "FileOperation", "operation": _MOVE, "source_client": None, "operation_id": "7"},
                {"type": "FileOperation", "operation": {"Delete": {"path": "old", "recursive": True}}},
            ],
        ),
        MessageType("Ping", "client", _message("Ping"), "Asks whether the server is there.", [{"type": "Ping"}]),
        MessageType("Pong", "server", _message("Pong"), "The answer to Ping.", [{"type": "Pong"}]),
        MessageType(
            "Ack",
            "server",
            _message(
                "Ack",
                "operation_id",
                operation_id=_TEXT,
                seq=_NUMBER,
                resync={"type": "boolean", "description": "the log does not reach back so far: list the folder"},
                features={"type": "array", "items": {"type": "string", "enum": [*FEATURES]}},
                epoch=_TEXT,
            ),
            "An operation was carried out, or the subscription (`subscribe`) begins.",
            [
                {"type": "Ack", "operation_id": "subscribe", "seq": 42, "resync": False, "features": ["seq"]},
                {"type": "Ack", "operation_id": "Delete:old"},
            ],
        ),
        MessageType(
            "Change",
            "server",
            _message("FileOperation", "operation", "source_client", operation=_CHANGE, source_client=_SOURCE, seq=_NUMBER),
            "Something in the folder has changed. The number is for clients that asked for `seq`.",
            [{"type": "FileOperation", "operation": _MOVE, "source_client": "laptop-2", "seq": 44}],
        ),
        MessageType(
            "Error",
            "server",
            _message("Error", "message", "code", message=_TEXT, code=_TEXT, operation_id={"type": ["string", "null"]}),
            "A refusal; it never ends the connection.",
            [{"type": "Error", "message": "subscribe first", "code": "not_subscribed", "operation_id": "Delete:old"}],
        ),
    ),
    "files.md",
)
