"""Replays recordings into a layer: each feature is published when its time has come, at any speed.

A replay runs on a thread or in a command and publishes what is due in batches. It remembers the features it published,
so that it can delete those that are not reported any more. If Redis is away for a while, the replay is late; it does
not end.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol, TypeVar

from streaming.core.errors import StreamError
from streaming.core.feed import MAX_BATCH, Put, PutResult

from .recordings import TimedFeature, with_time

logger = logging.getLogger(__name__)

TICK_SECONDS = 0.05
RETRY_SECONDS = 1.0
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class ReplayOptions:
    """How time passes in a replay.

    `speed` is recorded seconds per second, `max_gap` the longest pause in real seconds, `drop_after` the recorded
    seconds without a report after which a feature is deleted.
    """

    speed: float = 1.0
    max_gap: float = 10.0
    drop_after: float | None = None


class ReplayObserver:
    """Base class of observers of a replay, whose methods do nothing. They are called on the replay's thread."""

    def published(self, replay: Replay) -> None:
        """A batch was published, or some time passed."""

    def appeared(self, features: Sequence[TimedFeature]) -> None:
        """These features are new in the layer."""

    def left(self, features: Sequence[TimedFeature]) -> None:
        """These features were deleted; each as it was last."""


Key = tuple[str | None, str]
"""The layer of a recorded change (else None), and the key in it."""


class Store(Protocol):
    """Where features are published: a layer's feed, or a layer that is created with its first feature."""

    def put_sync(self, items: Iterable[Put]) -> PutResult:
        """Store features."""
        ...

    def delete_sync(self, keys: Iterable[str]) -> PutResult:
        """Delete features."""
        ...


def _key(feature: TimedFeature) -> Key:
    return feature.layer, feature.key


def _runs(features: Iterable[TimedFeature]) -> list[list[TimedFeature]]:
    """Features of one layer that are stored, or deleted, together; those of a layer stay in order."""
    done: list[list[TimedFeature]] = []
    growing: dict[str | None, list[TimedFeature]] = {}
    for feature in features:
        run = growing.get(feature.layer)
        if run is None or (run[0].value is None) != (feature.value is None):
            run = growing[feature.layer] = []
            done.append(run)
        run.append(feature)
    return done


class _Clock:
    """Maps real time (seconds) to recorded time (microseconds)."""

    def __init__(self, first: int, options: ReplayOptions) -> None:
        self._options = options
        self._first = first
        self._began = time.monotonic()

    def now(self) -> int:
        return self._first + round((time.monotonic() - self._began) * self._options.speed * 1e6)

    def wait(self, moment: int) -> float:
        """Real seconds until a recorded time, negative if it is past.

        A pause that would be too long is left out of the mapping for good.
        """
        wait = self._began + (moment - self._first) / 1e6 / self._options.speed - time.monotonic()
        if wait > self._options.max_gap:
            self._began -= wait - self._options.max_gap
            return self._options.max_gap
        return wait


class Replay:
    """Publishes recordings, one after the other, to a feed, or to that of the layer of each recorded change.

    When the next recording begins, features of the one before have `drop_after` seconds to be reported again; without
    `drop_after` they are deleted at once. `now_property` names the property to be rewritten, so that features appear to
    be recorded now.
    """

    def __init__(
        self,
        feed: Store | Callable[[str | None], Store],
        options: ReplayOptions,
        observer: ReplayObserver | None = None,
        now_property: Callable[[], str | None] | None = None,
    ) -> None:
        self._store_of = feed if callable(feed) else lambda _layer: feed
        self._options = options
        self._observer = observer or ReplayObserver()
        self._now_property = now_property
        self._present: OrderedDict[Key, tuple[int, TimedFeature]] = OrderedDict()  # by the time of the last report
        self._stop = threading.Event()
        self.published = 0
        self.refused = 0
        self.time: int | None = None
        """The recorded time reached, microseconds since 1970."""
        self.late = 0.0
        """Real seconds by which the last batch was stored too late."""

    @property
    def present(self) -> int:
        """How many features the replay has published and not deleted."""
        return len(self._present)

    def run(self, recordings: Iterable[Iterable[TimedFeature]], stop: threading.Event) -> None:
        """Play until the recordings end or `stop` is set. StreamError if one has no features, or cannot be read on."""
        self._stop = stop
        for recording in recordings:
            before = self.published + self.refused
            self._play(recording)
            if stop.is_set():
                return
            if self.published + self.refused == before:
                raise StreamError("bad_request", "there is no feature with a time to replay")

    def clear(self) -> None:
        """Delete every feature that the replay published."""
        self._delete(list(self._present))

    def _play(self, recording: Iterable[TimedFeature]) -> None:
        due: list[TimedFeature] = []
        clock: _Clock | None = None
        flushed = time.monotonic()
        for feature in recording:
            if clock is None:
                clock = _Clock(feature.time, self._options)
                self._begin(feature.time)
            wait = clock.wait(feature.time)
            if wait > 0 or len(due) >= MAX_BATCH:
                self._publish(due, clock)
                due = []
                flushed = self._pass_time(clock, feature.time, flushed)
                if self._stop.is_set():
                    return
            due.append(feature)
        if clock is not None:
            self._publish(due, clock)

    def _begin(self, first: int) -> None:
        if self._options.drop_after is None:
            self.clear()
        for key, (_, feature) in self._present.items():
            self._present[key] = (first, feature)

    def _pass_time(self, clock: _Clock, moment: int, flushed: float) -> float:
        """Wait until a recorded time, or longer if the next tick is later; do not wait if it is past."""
        while (wait := clock.wait(moment)) > 0 and not self._stop.is_set():
            pause = max(wait, TICK_SECONDS - (time.monotonic() - flushed))
            self._stop.wait(min(pause, 1.0))
            self._drop_silent(min(clock.now(), moment))  # later reports may be due already
            self._observer.published(self)
        return time.monotonic()

    def _publish(self, features: list[TimedFeature], clock: _Clock) -> None:
        if not features:
            return
        self.time = features[-1].time
        new = [feature for run in _runs(features) for feature in self._store(run)]
        self.late = max(0.0, -clock.wait(features[0].time) - TICK_SECONDS)
        self._drop_silent(features[-1].time)
        if new:
            self._observer.appeared(new)
        self._observer.published(self)

    def _store(self, run: list[TimedFeature]) -> list[TimedFeature]:
        """Store features of one layer, or delete them; returns those that are new in it."""
        store = self._store_of(run[0].layer)
        items = [(feature.key, self._value(feature, feature.value)) for feature in run if feature.value is not None]
        if not items:
            self._retrying(lambda: store.delete_sync([feature.key for feature in run]))
            self.published += len(run)
            gone = [self._present.pop(key)[1] for key in map(_key, run) if key in self._present]
            if gone:
                self._observer.left(gone)
            return []
        result = self._retrying(lambda: store.put_sync(items))
        self.refused += result.count("refused")
        self.published += len(run) - result.count("refused")
        self._remember(run, result.outcomes)
        return [feature for feature, outcome in zip(run, result.outcomes, strict=True) if outcome == "added"]

    def _remember(self, features: list[TimedFeature], outcomes: list[str]) -> None:
        for feature, outcome in zip(features, outcomes, strict=True):
            if outcome != "refused":
                self._present[_key(feature)] = (feature.time, feature)
                self._present.move_to_end(_key(feature))

    def _drop_silent(self, now: int) -> None:
        if self._options.drop_after is None:
            return
        horizon = now - self._options.drop_after * 1e6
        silent = []
        for key, (last_report, _) in self._present.items():
            if last_report >= horizon:
                break
            silent.append(key)
        self._delete(silent)

    def _delete(self, keys: list[Key]) -> None:
        for layer in dict.fromkeys(layer for layer, _ in keys):
            names = [name for of, name in keys if of == layer]
            self._retrying(partial(self._store_of(layer).delete_sync, names))
        if keys:
            self._observer.left([self._present.pop(key)[1] for key in keys])

    def _value(self, feature: TimedFeature, value: bytes) -> bytes:
        name = self._now_property() if self._now_property and feature.layer is None else None
        return with_time(value, name, time.time_ns() // 1000) if name else value

    def _retrying(self, action: Callable[[], T]) -> T:
        """Run an action, again and again until Redis answers. Once the replay is stopped, its error is raised."""
        warned = False
        while True:
            try:
                return action()
            except StreamError as error:
                if not error.kind.retry or self._stop.is_set():
                    raise
                if not warned:
                    logger.warning("the replay waits: %s", error.message)
                warned = True
                self._stop.wait(RETRY_SECONDS)
