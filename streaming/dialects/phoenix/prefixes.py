"""The addresses that Phoenix's clients may be given: `GEOSTREAM_PHOENIX_PREFIXES`, and those that are usual."""

from __future__ import annotations

from streaming.engine.conf import conf


def prefixes() -> list[str]:
    """The addresses, without the slash they begin with and with the one they end with."""
    own = (part.strip().strip("/") for part in conf.PHOENIX_PREFIXES.split(","))
    return list(dict.fromkeys(["", "socket/", "websocket/", *(f"{prefix}/" for prefix in own if prefix)]))
