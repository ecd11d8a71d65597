"""Listens to folders: a thread that receives the events of the file system, or polls where it reports none."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Collection, Set
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

import watchfiles

logger = logging.getLogger(__name__)

T = TypeVar("T")
FileEvents = Set[tuple[watchfiles.Change, str]]
"""What happened to which paths, as watchfiles has it."""

_ROUND_MS = 250


@dataclass(frozen=True, slots=True)
class Pace:
    """How soon events are passed on, and how often a folder is polled.

    Events of `debounce_ms` at most come together, sooner if there is none for `step_ms`. `poll_seconds` is for file systems that report no
    changes; None: they do. One that turns out to report none is polled every `fallback_seconds`.
    """

    debounce_ms: int = 100
    step_ms: int = 20
    poll_seconds: float | None = None
    fallback_seconds: float = 1.0


class FolderListener(Generic[T]):
    """One thread for some folders. `read` is called in it, and makes something of events; `notify` then on the event loop, with that.

    It ends when a folder is gone. `what` is what the log calls the folders.
    """

    def __init__(
        self,
        folders: Collection[Path],
        read: Callable[[FileEvents], T],
        notify: Callable[[T], None],
        *,
        what: str,
        pace: Pace = Pace(),
        recursive: bool = True,
    ) -> None:
        self._folders, self._read, self._notify = folders, read, notify
        self._what, self._pace, self._recursive = what, pace, recursive
        self._loop = asyncio.get_running_loop()
        self._listening = asyncio.Event()
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, name="folder-listener", daemon=True)

    @property
    def alive(self) -> bool:
        """Whether it still listens."""
        return self._thread.is_alive()

    async def start(self) -> None:
        """Begin, and wait until events are received, or cannot be."""
        self._thread.start()
        await self._listening.wait()

    async def stop(self) -> None:
        """End."""
        self._end.set()
        await asyncio.to_thread(self._thread.join)

    def _run(self) -> None:
        pace = self._pace
        try:
            try:
                self._listen(pace.poll_seconds or pace.fallback_seconds, polling=pace.poll_seconds is not None)
            except FileNotFoundError:
                return
            except (OSError, RuntimeError) as error:  # RuntimeError is watchfiles' own
                # Too many folders for the system, or a network file system.
                logger.warning("%s: looked at every %s s, for the system reports no changes: %s", self._what, pace.fallback_seconds, error)
                self._listen(pace.fallback_seconds, polling=True)
        except (OSError, RuntimeError) as error:
            logger.warning("%s: cannot be watched: %s", self._what, error)
        finally:
            self._call(self._listening.set)

    def _listen(self, poll_seconds: float, polling: bool) -> None:
        rounds = watchfiles.watch(
            *self._folders,
            watch_filter=None,
            debounce=self._pace.debounce_ms,
            step=self._pace.step_ms,
            stop_event=self._end,
            rust_timeout=_ROUND_MS,
            yield_on_timeout=True,
            raise_interrupt=False,
            force_polling=polling,
            poll_delay_ms=int(poll_seconds * 1000),
            recursive=self._recursive,
            ignore_permission_denied=True,
        )
        for events in rounds if self._folders else ():
            self._call(self._listening.set)
            if events and (found := self._read(events)):
                self._call(self._notify, found)

    def _call(self, call: Callable[..., None], *arguments: object) -> None:
        with suppress(RuntimeError):  # the loop has ended
            self._loop.call_soon_threadsafe(call, *arguments)
