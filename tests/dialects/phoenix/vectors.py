"""Frames, sessions and requirements recorded with the official client, a real Phoenix server and the channel service of Tangram."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

_ALL: dict[str, Any] = json.loads(Path(__file__).with_name("vectors.json").read_text(encoding="utf-8"))
CODEC: list[dict[str, Any]] = _ALL["codec"]
PRESENCE: list[dict[str, Any]] = _ALL["presence_client"]
SESSIONS: dict[str, list[dict[str, Any]]] = _ALL["sessions"]
REQUIREMENTS: list[dict[str, Any]] = _ALL["requirements"]


def session(name: str, server: str = "phoenix_1_8_9") -> list[dict[str, Any]]:
    """What was sent and received, in order."""
    return next(found["events"] for found in SESSIONS[server] if found["name"] == name)


def content(event: dict[str, Any], key: str) -> str | bytes:
    """A WebSocket message: text, or bytes written as `<key>_hex` (a vector: `hex`)."""
    return str(event[key]) if key in event else bytes.fromhex(event["hex" if key == "text" else f"{key}_hex"])
