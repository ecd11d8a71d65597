"""Whether a message is one of the AsyncAPI document. The clients of other tests ask it about whatever they are sent."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import jsonschema_rs

from streaming.api.asyncapi import asyncapi_document
from streaming.engine.message_types import Sender
from streaming.engine.registry import all_sockets


@cache
def _validator(dialect: str, sender: Sender, name: str = "") -> jsonschema_rs.Draft7Validator:
    """Of one message, or of all that one side may send."""
    (socket,) = [socket for socket in all_sockets() if socket.name == dialect]
    names = [each.name for each in socket.messages if each.sender in (sender, "both") and name in ("", each.name)]
    assert names, f"{dialect} has no message {name} of the {sender}"
    components = json.loads(json.dumps(asyncapi_document()["components"]))
    choices = [{"$ref": f"#/components/messages/{dialect}.{each}/payload"} for each in names]
    return jsonschema_rs.Draft7Validator({"anyOf": choices, "components": components})


def is_documented(dialect: str, sender: Sender, message: Any, name: str = "") -> bool:
    """Whether a message is one of those that a side may send, or the one of this name."""
    return bool(_validator(dialect, sender, name).is_valid(message))


def check_documented(dialect: str, sender: Sender, message: Any) -> None:
    """Fails the test if the document knows no such message."""
    assert is_documented(dialect, sender, message), f"not in the AsyncAPI document of {dialect}: {message}"
