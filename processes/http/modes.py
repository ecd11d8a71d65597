"""How an execute request is answered: with its result, or with its job."""

from __future__ import annotations

from dataclasses import dataclass, replace

from streaming.engine.conf import conf

from .preferences import Preferences


@dataclass(frozen=True, slots=True)
class Mode:
    """What the process and the client have agreed upon."""

    wait: float | None
    """How many seconds the answer is held back for the result; None: not at all."""
    needs_worker: bool = False
    """Whether there has to be a worker now: nobody waits for one that may never come."""
    strict: bool = False
    """Whether a result that comes too late is refused, rather than that the job is given instead."""
    in_time: str = ""
    """`Preference-Applied` of an answer with the result."""
    too_late: str = ""
    """`Preference-Applied` of an answer with the job."""

    def applying(self, preference: str) -> Mode:
        """With another preference that is applied."""
        in_time, too_late = (", ".join(filter(None, (applied, preference))) for applied in (self.in_time, self.too_late))
        return replace(self, in_time=in_time, too_late=too_late)


def choose_mode(sync: bool, asynchronous: bool, prefer: Preferences) -> Mode:
    """The mode of a request, as the table of the standard has it."""
    most = float(conf.PROCESS_SYNC_SECONDS)
    if not asynchronous:
        return Mode(most, needs_worker=True, strict=prefer.strict)
    if not sync:
        return Mode(None, too_late="respond-async" if prefer.respond_async else "")
    if prefer.wait is None:
        return Mode(None, too_late="respond-async") if prefer.respond_async else Mode(most, needs_worker=True, strict=prefer.strict)
    held, applied = min(float(prefer.wait), most), f"wait={prefer.wait}"
    if prefer.respond_async:
        return Mode(held, in_time=applied, too_late=f"respond-async, {applied}")
    return Mode(held, needs_worker=True, strict=prefer.strict, in_time=applied, too_late=applied)
