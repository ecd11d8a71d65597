"""Changes and events as lines of text: for people, for programs, and as plain GeoJSON."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import msgspec

from streaming.client import Event, Feature, FeatureChange

_SIGNS = {"added": ("+", "SUCCESS"), "updated": ("~", "WARNING"), "deleted": ("-", "ERROR")}
_WIDTH = 32


class Lines:
    """One line for each change and event. `style` colours where the output is a terminal."""

    def __init__(self, style: Any) -> None:
        self._style = style

    def change(self, change: FeatureChange) -> str:
        """A change."""
        raise NotImplementedError

    def event(self, event: Event) -> str:
        """An event."""
        return _json(
            {"type": "event", "event_type": event.event_type, "payload": event.payload, "timestamp": event.timestamp, "gap": event.gap}
        )


class JsonLines(Lines):
    """A JSON object a line, with all there is to know."""

    def change(self, change: FeatureChange) -> str:
        """The change and the whole feature."""
        names = ("type", "layer", "id", "reason", "cursor", "feature")
        return _json({name: getattr(change, name) for name in names})


class GeoJsonLines(Lines):
    """The features alone; a deleted one has a null geometry and no properties."""

    def change(self, change: FeatureChange) -> str:
        """The feature."""
        return _json(change.feature)


class Human(Lines):
    """Time, sign, id, place, and what changed."""

    def __init__(self, style: Any) -> None:
        super().__init__(style)
        self._known: dict[tuple[str | None, str | int], dict[str, Any]] = {}

    def change(self, change: FeatureChange) -> str:
        """The properties that changed, as far as that can be told."""
        sign, colour = _SIGNS[change.type]
        key = (change.layer, change.id)
        before = self._known.pop(key, None)
        parts = [f"{datetime.now():%H:%M:%S}", sign, f"{change.layer}/{change.id}"]
        if change.type == "deleted":
            parts += [f"({change.reason})"] if change.reason else []
        else:
            after = self._known[key] = change.feature.get("properties") or {}
            parts += [_place(change.feature), *_properties(before, after)]
        return self._coloured(colour, " ".join(filter(None, parts)))

    def event(self, event: Event) -> str:
        """The event's time, type and payload."""
        payload = event.payload.get("message") if isinstance(event.payload, dict) else None
        gap = f" ({event.gap} missed)" if event.gap else ""
        return self._coloured(
            "NOTICE", f"{event.timestamp.astimezone(UTC):%H:%M:%S}Z ! {event.event_type}{gap} {payload or _json(event.payload)}"
        )

    def _coloured(self, colour: str, text: str) -> str:
        paint: Callable[[str], str] = getattr(self._style, colour)
        return paint(text)


FORMATS: dict[str, type[Lines]] = {"human": Human, "jsonl": JsonLines, "geojson": GeoJsonLines}


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
    text = "".join(character if character.isprintable() else "�" for character in text)  # nothing that a terminal obeys
    return text if len(text) <= _WIDTH else f"{text[: _WIDTH - 1]}…"


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()
