"""Listens to a folder: a thread that receives the events of the file system, or polls where there are none."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import watchfiles

from streaming.engine.conf import conf

from .paths import PathError, clean_path

logger = logging.getLogger(__name__)

_DEBOUNCE_MS, _STEP_MS, _ROUND_MS = 100, 20, 250


class FolderListener:
    """One thread for one folder. `on_paths` is called on the event loop with the paths to which something happened."""

    def __init__(self, root: Path, on_paths: Callable[[set[str]], None]) -> None:
        self._root = root.resolve()
        self._on_paths = on_paths
        self._loop = asyncio.get_running_loop()
        self._listening = asyncio.Event()
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, name="files-watcher", daemon=True)

    @property
    def alive(self) -> bool:
        """Whether it still listens."""
        return self._thread.is_alive()

    async def start(self) -> None:
        """Begin, and wait until events are received."""
        self._thread.start()
        await self._listening.wait()

    async def stop(self) -> None:
        """End."""
        self._end.set()
        await asyncio.to_thread(self._thread.join)

    def _run(self) -> None:
        try:
            try:
                self._watch(polling=bool(conf.FILES_POLL_SECONDS))
            except (OSError, RuntimeError) as error:  # RuntimeError is watchfiles' own: no more watches, or a network drive
                logger.warning("the folder of files is looked at every second, for the system does not report changes: %s", error)
                self._watch(polling=True)
        except (OSError, RuntimeError) as error:
            logger.warning("the folder of files cannot be watched: %s", error)
        finally:
            self._call(self._listening.set)

    def _watch(self, polling: bool) -> None:
        rounds = watchfiles.watch(
            self._root,
            watch_filter=None,
            debounce=_DEBOUNCE_MS,
            step=_STEP_MS,
            stop_event=self._end,
            rust_timeout=_ROUND_MS,
            yield_on_timeout=True,
            raise_interrupt=False,
            force_polling=polling,
            poll_delay_ms=int((conf.FILES_POLL_SECONDS or 1.0) * 1000),
            ignore_permission_denied=True,
        )
        for changes in rounds:
            self._call(self._listening.set)
            paths = {path for _, name in changes if (path := self._path(name)) is not None}
            if paths:
                self._call(self._on_paths, paths)

    def _path(self, name: str) -> str | None:
        try:
            path = Path(name).relative_to(self._root).as_posix()
            return path if clean_path(path) == path else None
        except (ValueError, PathError):
            return None

    def _call(self, call: Callable[..., object], *arguments: object) -> None:
        with suppress(RuntimeError):  # the loop has ended
            self._loop.call_soon_threadsafe(call, *arguments)
