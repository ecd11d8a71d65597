"""What a worker process may use. It has neither Django nor Redis, and where the system allows it no network."""

from __future__ import annotations

import contextlib
import ctypes
import sys

_CLONE_NEWUSER, _CLONE_NEWNET = 0x10000000, 0x40000000
_OPEN_FILES = 256


def limit(memory: int, seconds: int, file_bytes: int) -> None:
    """Limit this process, for good. Where the system has no such limits (Windows) the deadline of who started it remains."""
    _leave_network()
    try:
        import resource
    except ImportError:
        return
    wanted = {
        resource.RLIMIT_AS: memory,
        resource.RLIMIT_CPU: seconds,
        resource.RLIMIT_FSIZE: file_bytes,
        resource.RLIMIT_NOFILE: _OPEN_FILES,
        resource.RLIMIT_CORE: 0,
    }
    for which, value in wanted.items():
        _, most = resource.getrlimit(which)
        bound = value if most == resource.RLIM_INFINITY else min(value, most)
        with contextlib.suppress(ValueError, OSError):  # macOS knows RLIMIT_AS, but does not let anybody set it
            resource.setrlimit(which, (bound, bound))


def _leave_network() -> None:
    """Go to a network without interfaces. Not every system lets a process do that; no driver that remains would use one."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None, use_errno=True).unshare(_CLONE_NEWUSER | _CLONE_NEWNET)
