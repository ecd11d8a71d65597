"""Python's search for garbage in cycles, arranged for a server: it holds up every client while it lasts.

What was imported and made at the start stays for ever. Looking through it takes a tenth of a second or more, each time; so it is left out
from then on, and smaller searches come less often. The same is true of clients: a connection is a hundred objects, and a search through
those of thousands takes as long. So connections are left out too, some at a time. They need no search: one that is gone has no cycles
(`tests/engine/test_garbage.py`).
"""

from __future__ import annotations

import gc

THRESHOLDS = 10_000, 20, 100
"""Objects made before the youngest are looked through; and how often that is done before older ones are, too."""
TOGETHER = 64
"""Connections that are left out together: until then, to look through them takes some milliseconds."""
THOROUGH = 1000
"""After so many times everything is looked through: what was in use when it was left out may have become garbage since."""


def leave_out_what_is_there() -> None:
    """Called once everything is made that stays."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*THRESHOLDS)


class Newcomers:
    """Counts the connections of a process, and leaves them out."""

    def __init__(self) -> None:
        self._came = 0
        self._times = 0

    def came(self) -> None:
        """There is one more."""
        self._came += 1
        if self._came == TOGETHER:
            self._came = 0
            self._leave_out()

    def _leave_out(self) -> None:
        self._times += 1
        if self._times == THOROUGH:
            self._times = 0
            gc.unfreeze()
            gc.collect()
        else:
            gc.collect()  # of those that are not left out: what is garbage must not be
        gc.freeze()


newcomers = Newcomers()
"""Those of this process."""
