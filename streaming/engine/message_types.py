"""Message types: what a dialect says over its WebSocket, declared for its clients. The AsyncAPI document is made of these declarations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

Sender = Literal["client", "server", "both"]
JSON, TEXT = "application/json", "text/plain"

Schema = Mapping[str, Any] | type
"""A JSON Schema (draft 7) in which types (msgspec structs) may stand for their schemas, or such a type."""


@dataclass(frozen=True, slots=True)
class MessageType:
    """One kind of message: who sends it, what it looks like, and examples of its whole content."""

    name: str
    """In letters, digits, `_`, `-` and `.`; no other message of the dialect has it."""
    sender: Sender
    schema: Schema
    summary: str
    examples: Sequence[Any] = ()
    content_type: str = JSON


@dataclass(frozen=True, slots=True)
class SocketDescription:
    """The WebSocket of a dialect."""

    name: str
    """The dialect's."""
    title: str
    addresses: Sequence[str]
    """Paths on the site; the first is the one to use."""
    description: str
    """Markdown: what JSON Schema cannot say. The first sentence is the summary."""
    messages: Sequence[MessageType]
    documentation: str = ""
    """The page about it under `docs/`."""
