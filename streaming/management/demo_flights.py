"""The flights of the demo: a recording that is replayed for ever, with events of aircraft that appear and leave."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from itertools import repeat
from pathlib import Path
from typing import Any

import msgspec

from streaming.core.errors import StreamError
from streaming.features.events import publish_event
from streaming.features.layers import LayerSettings, layer_feed
from streaming.features.recordings import Recording, TimedFeature
from streaming.features.replay import Replay, ReplayObserver, ReplayOptions

logger = logging.getLogger(__name__)

LANDED_AFTER = 120.0
"""Recorded seconds without a position, after which an aircraft is deleted."""
EVENT_SECONDS = 2.0


def replay_flights(layer: LayerSettings, file: Path, speed: float, multiply: int, stop: threading.Event) -> None:
    """Replay the recording until `stop` is set."""
    replay = Replay(layer_feed(layer), ReplayOptions(speed, drop_after=LANDED_AFTER), FlightEvents())
    recording = Recording(str(file), layer.time_property or "datetime", multiply=multiply)
    try:
        replay.run(repeat(recording), stop)
    except StreamError as error:
        if not stop.is_set():
            logger.error("the demo's replay has ended: %s", error.message)


class FlightEvents(ReplayObserver):
    """Publishes an event when an aircraft appears or leaves, at most one in `EVENT_SECONDS`."""

    def __init__(self) -> None:
        self._published_at = time.monotonic() - EVENT_SECONDS

    def appeared(self, features: Sequence[TimedFeature]) -> None:
        self._publish(features, "appeared")

    def left(self, features: Sequence[TimedFeature]) -> None:
        self._publish(features, "left")

    def _publish(self, features: Sequence[TimedFeature], change: str) -> None:
        if features and time.monotonic() - self._published_at >= EVENT_SECONDS:
            self._published_at = time.monotonic()
            with suppress(StreamError):  # without Redis the replay waits, but an old event is of no use
                publish_event("custom", flight_event(msgspec.json.decode(features[0].value or b"{}"), change))


def flight_event(feature: dict[str, Any], change: str) -> dict[str, Any]:
    """The payload of an aircraft's event; `change` is `appeared` or `left`."""
    properties = feature["properties"]
    callsign = properties.get("callsign") or str(feature["id"])
    altitude = properties.get("altitude_ft")
    at = "" if altitude is None else f" at {altitude:,.0f} ft"
    message = f"{callsign} {'has appeared' if change == 'appeared' else 'has left the area'}{at}"
    return {"kind": "flight", "change": change, "id": feature["id"], "callsign": callsign, "altitude_ft": altitude, "message": message}
