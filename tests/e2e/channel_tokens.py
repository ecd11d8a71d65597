"""Channel tokens of an issuer that shares the servers' key, as good and as bad as a test wants them."""

from __future__ import annotations

import time
from typing import Any

import jwt

SECRET = "a key that the servers and the issuers of these tests share, long enough for every algorithm"
FOREIGN = "a key of somebody else that nobody here knows at all"


def token(
    channel: str, id: str = "alice", seconds: float = 600.0, key: str | None = SECRET, algorithm: str = "HS256", **claims: Any
) -> str:
    """A token that ends so many seconds from now, rounded up to a whole one."""
    ends = int(time.time() + seconds) + 1
    return jwt.encode({"id": id, "channel": channel, "exp": ends, **claims}, key or "", algorithm)
