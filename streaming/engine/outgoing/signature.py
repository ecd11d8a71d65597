"""The signature of a request: its receiver knows by it who sent it, and when."""

from __future__ import annotations

import hmac
from hashlib import sha256

SIGNATURE = "X-GeoStream-Signature"
"""The header."""


def signature(secret: str, at: int, body: bytes) -> str:
    """The time and HMAC-SHA256 of `<time>.<body>`, so that what was recorded cannot be sent again later."""
    return f"t={at},v1={hmac.new(secret.encode(), b'%d.%s' % (at, body), sha256).hexdigest()}"
