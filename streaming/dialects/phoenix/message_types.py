"""The messages of Phoenix Channels for the AsyncAPI document, as version 2 of the serializer writes them."""

from __future__ import annotations

from typing import Any

from streaming.engine.message_types import MessageType, Sender, SocketDescription

_TEXT = {"type": "string"}
_ECHO = {"description": "as the client has sent it"}
_REFERENCE = {"description": "a text or null; of other values answers give back what they were"}
_OBJECT = {"type": "object"}
_REPLY = {
    "type": "object",
    "required": ["status", "response"],
    "properties": {"status": {"type": "string", "enum": ["ok", "error"]}, "response": {}},
    "additionalProperties": False,
}
_METAS = {
    "type": "object",
    "required": ["metas"],
    "properties": {"metas": {"type": "array", "items": {"type": "object", "required": ["phx_ref"], "properties": {"phx_ref": _TEXT}}}},
}
_PRESENCES = {"type": "object", "additionalProperties": _METAS}
_DIFF = {"type": "object", "required": ["joins", "leaves"], "properties": {"joins": _PRESENCES, "leaves": _PRESENCES}}
_ALICE = {"alice": {"metas": [{"phx_ref": "F1-7"}]}}


def _frame(event: dict[str, Any], payload: dict[str, Any], topic: dict[str, Any] | None = None) -> dict[str, Any]:
    """`[join_ref, ref, topic, event, payload]`."""
    items = [_REFERENCE, _REFERENCE, topic or _TEXT, event, payload]
    return {"type": "array", "items": items, "minItems": 5, "maxItems": 5, "additionalItems": False}


def _named(name: str, sender: Sender, payload: dict[str, Any], summary: str, *examples: list[Any]) -> MessageType:
    return MessageType(name, sender, _frame({"const": name}, payload), summary, examples)


SOCKET = SocketDescription(
    "phoenix",
    "Phoenix Channels",
    ("/socket/websocket", "/websocket", "/websocket/websocket"),
    "Topics: joins, pushes with replies, broadcasts and presence, as phoenix.js speaks them. Each message is the array "
    "`[join_ref, ref, topic, event, payload]` with `?vsn=2.0.0`, else an object with these members. Payloads that are bytes go in binary "
    "frames: the kind (0 push, 1 reply, 2 broadcast), the lengths of the fields in a byte each, the fields, the payload.",
    (
        _named(
            "phx_join", "client", {}, "Joins a topic; the payload may have a token.", ["3", "3", "room:lobby", "phx_join", {"token": "…"}]
        ),
        _named("phx_leave", "client", {}, "Leaves a topic.", ["3", "9", "room:lobby", "phx_leave", {}]),
        MessageType(
            "heartbeat",
            "client",
            _frame({"const": "heartbeat"}, {}, {"const": "phoenix"}),
            "Asks whether the server is there; it is answered with a reply.",
            ([None, "4", "phoenix", "heartbeat", {}],),
        ),
        MessageType(
            "push",
            "client",
            _frame({"type": "string", "not": {"pattern": "^phx_"}}, {}),
            "An event for the topic's channel, or for backends; it is answered with a reply.",
            (["3", "5", "room:lobby", "note", {"text": "hello"}],),
        ),
        MessageType(
            "phx_reply",
            "server",
            _frame({"const": "phx_reply"}, _REPLY, _ECHO),
            "The answer to a join, push, leave or heartbeat: the one with this `ref`.",
            (
                ["3", "3", "room:lobby", "phx_reply", {"status": "ok", "response": {"id": "k2v9:room:lobby:3"}}],
                ["3", "3", "room:lobby", "phx_reply", {"status": "error", "response": {"reason": "unauthorized"}}],
            ),
        ),
        _named("phx_close", "server", _OBJECT, "The member has left.", ["3", "3", "room:lobby", "phx_close", {}]),
        _named(
            "phx_error",
            "server",
            _OBJECT,
            "The member was taken off the topic; clients join again.",
            ["3", "3", "room:lobby", "phx_error", {"reason": "unauthorized"}],
        ),
        _named("presence_state", "server", _PRESENCES, "Who is on the topic, by key.", ["3", None, "room:lobby", "presence_state", _ALICE]),
        _named(
            "presence_diff",
            "server",
            _DIFF,
            "Who has come and left.",
            [None, None, "room:lobby", "presence_diff", {"joins": _ALICE, "leaves": {}}],
        ),
        MessageType(
            "event",
            "server",
            _frame({"type": "string", "not": {"pattern": "^(phx|presence)_"}}, {}),
            "Any other event on a topic: with a `join_ref` for this member, else for all.",
            ([None, None, "room:lobby", "note", {"text": "from a backend"}],),
        ),
    ),
    "phoenix.md",
)
