"""Sessions recorded with the original server, step by step, and what we send where we do better."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

_ALL: dict[str, Any] = json.loads(Path(__file__).with_name("vectors.json").read_text(encoding="utf-8"))
GREETING: dict[str, Any] = _ALL["greeting"]
CASES: list[dict[str, Any]] = _ALL["cases"]


def expected(step: dict[str, Any]) -> list[dict[str, Any]]:
    """The frames that answer a step, without their timestamps."""
    frames: list[dict[str, Any]] = step.get("hub", step.get("upstream", []))
    return frames
