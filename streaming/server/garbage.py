"""Python's search for garbage in cycles, arranged for a server: it holds up every client while it lasts.

What was imported and made at the start stays for ever. Looking through it takes a tenth of a second or more, each time; so it is left out
from then on, and smaller searches come less often.
"""

from __future__ import annotations

import gc

THRESHOLDS = 10_000, 20, 100
"""Objects made before the youngest are looked through; and how often that is done before older ones are, too."""


def leave_out_what_is_there() -> None:
    """Called once everything is made that stays."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*THRESHOLDS)
