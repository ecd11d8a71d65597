"""The server's own events: what happens to layers, tilesets and long work, for whoever subscribes to events.

They are published from a thread of their own, so that neither an event loop nor a request waits for them; too many of a
kind are dropped and counted. What happens to a layer or a tileset is for those who may read it: `event_audience`.
"""

from __future__ import annotations

import atexit
import logging
import threading
import time
from collections import Counter, deque
from collections.abc import Collection
from typing import Any, NamedTuple

from streaming.core.errors import StreamError
from streaming.engine.conf import conf

from .event_audience import EVERYBODY, Audience
from .events import publish_event
from .ingest import IngestResult
from .layers import VIEW_LAYER, catalogue

logger = logging.getLogger(__name__)

MAX_WAITING = 1000
IDLE_SECONDS = 5.0
"""The thread ends when it had nothing to do for so long."""


class _Waiting(NamedTuple):
    event_type: str
    payload: dict[str, Any]
    once: str | None
    audience: Audience


class ServerEvents:
    """Publishes events behind the caller's back. `published` and `dropped` count them by type.

    `per_minute` is the name of the setting that bounds how many of one type may be.
    """

    def __init__(self, per_minute: str = "SERVER_EVENTS_PER_MINUTE") -> None:
        self._per_minute = per_minute
        self.published = Counter[str]()
        self.dropped = Counter[str]()
        self._waiting: deque[_Waiting] = deque()
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._busy = False
        self._allowances: dict[str, tuple[float, float]] = {}

    def emit(
        self,
        event_type: str,
        source: str,
        payload: dict[str, Any],
        audience: Audience = EVERYBODY,
        once: str | None = None,
        is_last: bool = False,
    ) -> bool:
        """Publish an event about `source` (`layer:flights`, `tileset:relief`) for an audience, from any thread and at once.

        Returns whether it will be: not if there were too many of its type, unless it `is_last` of several that were
        published. Of several processes that emit the same change, with the same text `once`, the first one publishes it.
        """
        if not conf.SERVER_EVENTS:
            return False
        with self._changed:
            if len(self._waiting) >= MAX_WAITING or not (self._allowed(event_type) or is_last):
                self.dropped[event_type] += 1
                return False
            self._waiting.append(_Waiting(event_type, {"source": source, **payload}, once, audience))
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="geostream-events", daemon=True)
                self._thread.start()
            self._changed.notify_all()
            return True

    def flush(self, timeout: float = 2.0) -> bool:
        """Wait until everything is published (at the end of a command); whether it is."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._waiting and not self._busy, timeout)

    def _allowed(self, event_type: str) -> bool:
        """A token bucket for each type that holds what a minute may have."""
        most, now = float(getattr(conf, self._per_minute)), time.monotonic()
        left, then = self._allowances.get(event_type, (most, now))
        left = min(most, left + (now - then) * most / 60)
        self._allowances[event_type] = (left - 1 if left >= 1 else left, now)
        return left >= 1

    def _run(self) -> None:
        while True:
            with self._changed:
                self._busy = False
                self._changed.notify_all()
                if not self._changed.wait_for(lambda: self._waiting, IDLE_SECONDS):
                    self._thread = None
                    return
                event = self._waiting.popleft()
                self._busy = True
            self._publish(event)

    def _publish(self, event: _Waiting) -> None:
        try:
            publish_event(event.event_type, event.payload, event.once, audience=event.audience)
            self.published[event.event_type] += 1
        except StreamError as error:
            self.dropped[event.event_type] += 1
            logger.debug("an event of the server is lost: %s", error)
        except Exception:
            self.dropped[event.event_type] += 1
            logger.exception("an event of the server could not be published")


server_events = ServerEvents()
atexit.register(server_events.flush)


def readers(permissions: Collection[str]) -> Audience:
    """Those who may read a layer or a tileset that takes these permissions."""
    return Audience(tuple(permissions))


def layer_event(event: str, name: str, title: str, audience: Audience) -> None:
    """A layer was created, changed or removed (`layer_created` …)."""
    payload = {"event": event, "layer": name, "title": title or name, "message": message_of(event, name)}
    server_events.emit("custom", f"layer:{name}", payload, audience)


def message_of(event: str, name: str) -> str:
    """A text for people: `layer flights was created`."""
    what, _, change = event.partition("_")
    return f"{what} {name} was {change}"


def report_limits(layer: str, result: IngestResult) -> None:
    """An event if a layer had no room for what was published."""
    full = [error for error in result.errors if error["code"] == "layer_full"]
    if full:
        feeding_error(layer, "layer_full", full[0]["message"], result.refused)


def feeding_error(layer: str, code: str, message: str, count: int) -> None:
    """Features of a layer were refused because of a limit, or could not be read."""
    context = {"layer": layer, "code": code, "refused": count}
    server_events.emit("error", f"layer:{layer}", {"error": message, "context": context}, layer_readers(layer))


def layer_readers(layer: str) -> Audience:
    """Those who may read a layer, by what this process knows of it. Of one that it does not know, those who may read private ones."""
    settings = catalogue.remembered(layer)
    return readers((VIEW_LAYER,) if settings is None else settings.permissions)
