"""The formats in which `manage.py tail` prints changes and events: for people, as JSON, and as plain GeoJSON."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import msgspec

from streaming.client import Event, Feature, FeatureChange

_SIGNS = {"added": ("+", "SUCCESS"), "updated": ("~", "WARNING"), "deleted": ("-", "ERROR")}
_MAX_VALUE = 32
"""Characters of a property's value."""


class LineFormat:
    """Base class of formats: one line for each change and event. `style` adds colours on a terminal."""

    def __init__(self, style: Any) -> None:
        self._style = style

    def change(self, change: FeatureChange) -> str:
        """The line of a change."""
        raise NotImplementedError

    def event(self, event: Event) -> str:
        """The line of an event."""
        return _json(
            {"type": "event", "event_type": event.event_type, "payload": event.payload, "timestamp": event.timestamp, "gap": event.gap}
        )


class JsonLines(LineFormat):
    """A JSON object in each line, with every member."""

    def change(self, change: FeatureChange) -> str:
        """The change and the whole feature."""
        names = ("type", "layer", "id", "reason", "cursor", "feature")
        return _json({name: getattr(change, name) for name in names})


class GeoJsonLines(LineFormat):
    """Only the features. A deleted one has a null geometry and no properties."""

    def change(self, change: FeatureChange) -> str:
        """The feature."""
        return _json(change.feature)


class HumanLines(LineFormat):
    """Time, sign, id, coordinates, and the properties that changed."""

    def __init__(self, style: Any) -> None:
        super().__init__(style)
        self._last: dict[tuple[str | None, str | int], dict[str, Any]] = {}

    def change(self, change: FeatureChange) -> str:
        """The changed properties, or all of a feature that was not printed before."""
        sign, colour = _SIGNS[change.type]
        key = (change.layer, change.id)
        before = self._last.pop(key, None)
        parts = [f"{datetime.now():%H:%M:%S}", sign, f"{change.layer}/{change.id}"]
        if change.type == "deleted":
            parts += [f"({change.reason})"] if change.reason else []
        else:
            after = self._last[key] = change.feature.get("properties") or {}
            parts += [_place(change.feature), *_properties(before, after)]
        return self._in_colour(colour, " ".join(filter(None, parts)))

    def event(self, event: Event) -> str:
        """The event's time, type and payload."""
        payload = event.payload.get("message") if isinstance(event.payload, dict) else None
        gap = f" ({event.gap} missed)" if event.gap else ""
        return self._in_colour(
            "NOTICE", f"{event.timestamp.astimezone(UTC):%H:%M:%S}Z ! {event.event_type}{gap} {payload or _json(event.payload)}"
        )

    def _in_colour(self, colour: str, text: str) -> str:
        paint: Callable[[str], str] = getattr(self._style, colour)
        return paint(text)


FORMATS: dict[str, type[LineFormat]] = {"human": HumanLines, "jsonl": JsonLines, "geojson": GeoJsonLines}


def _place(feature: Feature) -> str:
    geometry = feature.get("geometry")
    if not geometry:
        return "nowhere"
    if geometry["type"] != "Point":
        return str(geometry["type"])
    return ",".join(f"{number:.5f}".rstrip("0").rstrip(".") for number in geometry["coordinates"][:2])


def _properties(before: dict[str, Any] | None, after: dict[str, Any]) -> list[str]:
    if before is None:
        return [f"{name}={_short(value)}" for name, value in after.items()]
    changed = [f"{name}={_short(before.get(name))}→{_short(value)}" for name, value in after.items() if before.get(name) != value]
    return changed + [f"{name} is gone" for name in before if name not in after]


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else _json(value)
    text = "".join(character if character.isprintable() else "�" for character in text)  # no control sequences of terminals
    return text if len(text) <= _MAX_VALUE else f"{text[: _MAX_VALUE - 1]}…"


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()
