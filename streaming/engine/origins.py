"""Which other sites' pages may use this server: the setting `GEOSTREAM_ALLOWED_ORIGINS`, for WebSockets and for HTTP."""

from __future__ import annotations

from functools import lru_cache

from .conf import conf


def allowed_origins() -> frozenset[str]:
    """The origins of the setting; `*` is one that stands for all."""
    return _split(conf.ALLOWED_ORIGINS)


@lru_cache(8)
def _split(text: str) -> frozenset[str]:
    return frozenset(filter(None, (part.strip() for part in text.split(","))))
