"""Python's search for garbage in cycles, arranged for a server: it holds up every client while it lasts.

What was imported and made at the start stays for ever. Looking through it takes a tenth of a second or more, each time; so it is left out
from then on, and large searches come less often. Small ones come often enough to stay small: while thousands of clients connect, each
leaves a hundred objects and more that stay, and to look through 200,000 of them took 0.1 s.
"""

from __future__ import annotations

import gc

THRESHOLDS = 5_000, 1, 4_000
"""Objects made before the youngest are looked through; how often that is done before those it left are, too; and that, before all are.

5,000 objects take about 3 ms, the 10,000 or 15,000 of the second kind less than 10.
"""


def leave_out_what_is_there() -> None:
    """Called once everything is made that stays."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*THRESHOLDS)
