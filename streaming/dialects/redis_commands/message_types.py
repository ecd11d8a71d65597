"""The messages of the Redis commands for the AsyncAPI document: a text for each command, and envelopes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, get_args

from streaming.engine.message_types import TEXT, MessageType, SocketDescription

from .envelopes import SERVER
from .grammar import COMMANDS, ErrorCode

_SUMMARIES = {
    "GET": (
        "Reads a hash or a layer, or one field of it, as the box and projection are.",
        ("GET vehicles", "GET vehicles 17 client_ref=a"),
    ),
    "PGET": ("Reads in a CRS of its own, without the box.", ("PGET vehicles epsg:3857",)),
    "SUB": ("Subscribes to a channel or a layer.", ("SUB vehicles", "SUB vehicles client_ref=a")),
    "DEL": ("Ends a subscription.", ("DEL vehicles",)),
    "PSUB": ("Subscribes to all channels that a pattern matches.", ("PSUB vehicles:*",)),
    "PDEL": ("Ends a subscription to a pattern.", ("PDEL vehicles:*",)),
    "PING": ("Asks for PONG.", ("PING",)),
    "BBOX": ("Sets the box that values are seen in (left, bottom, right, top), or clears it.", ("BBOX 5.9 45.8 10.5 47.9", "BBOX")),
    "PROJECTION": ("Sets the CRS that coordinates are sent in.", ("PROJECTION epsg:3857",)),
    "HELLO": ("Asks for errors, acknowledgements and trimmed values.", ("HELLO 2 errors=1 acks=1",)),
    "BUFFER": ("Asks for messages together: at most so many, at most so late in milliseconds.", ("BUFFER 100 200",)),
    "RESET": ("Ends all subscriptions and clears box and projection.", ("RESET",)),
}


def _command(verb: str) -> MessageType:
    summary, examples = _SUMMARIES[verb]
    schema = {"type": "string", "pattern": rf"^\s*{verb}(\s|$)"}
    return MessageType(verb, "client", schema, summary, examples, TEXT)


def _envelope(source: Mapping[str, Any], content: Mapping[str, Any]) -> dict[str, Any]:
    members = {
        "source": {"type": "string", **source},
        "content": dict(content),
        "timestamp": {"type": "number", "description": "milliseconds since 1970"},
        "client_reference": {"type": ["string", "null"]},
    }
    return {"type": "object", "required": [*members], "properties": members, "additionalProperties": False}


def _notice(name: str, summary: str, content: Mapping[str, Any], example: Any) -> MessageType:
    return MessageType(name, "server", _envelope({"const": SERVER}, content), summary, [_example(SERVER, example)])


def _status(*status: str, **members: Mapping[str, Any]) -> dict[str, Any]:
    properties = {"status": {"type": "string", "enum": [*status]}, **members}
    return {"type": "object", "required": [*properties], "properties": properties}


def _example(source: str, content: Any, reference: str | None = None) -> dict[str, Any]:
    return {"source": source, "content": content, "timestamp": 1769860800000.125, "client_reference": reference}


_STRING: dict[str, Any] = {"type": "string"}
_POINT = {"type": "Feature", "geometry": {"type": "Point", "coordinates": [8.55, 47.45]}, "properties": {"id": 17}}
_LIMITS = {"command_bytes": 8192, "subscriptions": 100, "patterns": 10, "values": 10000}

SOCKET = SocketDescription(
    "redis",
    "Redis commands",
    ("/ws/redis", "/redis/"),
    "Hashes, channels and layers by commands in text; answers are envelopes in JSON. A command is a verb, words, and words with `=`. "
    "Without `HELLO` the server is silent about many mistakes, as the servers were that this protocol comes from.",
    (
        *map(_command, COMMANDS),
        _notice("open", "The first message of every connection.", _status("open"), {"status": "open"}),
        _notice("PONG", "The answer to PING.", {"const": "PONG"}, "PONG"),
        _notice(
            "welcome",
            "The answer to HELLO.",
            _status("hello", version={"type": "integer"}, commands={"type": "array", "items": _STRING}, limits={"type": "object"}),
            {"status": "hello", "version": 2, "commands": [*COMMANDS], "limits": _LIMITS},
        ),
        _notice(
            "acknowledgement",
            "A subscription begins or has ended; for clients that asked for it with `acks=1`.",
            _status("subscribed", "unsubscribed", channel=_STRING),
            {"status": "subscribed", "channel": "vehicles"},
        ),
        _notice(
            "error",
            "The refusal of a command; or, with the code `gap`, that messages may be missing before this one.",
            _status("error", code={"type": "string", "enum": [*get_args(ErrorCode), "gap"]}, message=_STRING),
            {"status": "error", "code": "arguments", "message": "GET needs name"},
        ),
        MessageType(
            "value",
            "server",
            _envelope({"not": {"const": SERVER}}, {}),
            "A value of what was read, or a message on a channel, or a change of a layer. The source is the name (and field).",
            [_example("vehicles", _POINT), _example("vehicles 17", None, "a")],
        ),
        MessageType(
            "batch",
            "server",
            _envelope({"const": "buffer"}, {"type": "array", "items": _envelope({}, {})}),
            "Messages together, after BUFFER.",
            [_example("buffer", [_example("vehicles", _POINT)])],
        ),
    ),
    "redis-commands.md",
)
