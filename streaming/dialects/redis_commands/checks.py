"""System check of the settings of the Redis commands."""

from __future__ import annotations

from typing import Any

from django.core.checks import CheckMessage, Error, Tags, Warning, register
from django.core.exceptions import ImproperlyConfigured

from streaming.engine.conf import conf
from streaming.redis_data.names import readable_names

from .delivery.policies import slow_client_policies


@register()
def check_redis_commands(**kwargs: Any) -> list[CheckMessage]:
    """An error if one of the settings cannot be read; else the first client would find out."""
    try:
        readable_names(conf.REDIS_READABLE)
        slow_client_policies(conf.REDIS_SLOW)
    except ImproperlyConfigured as error:
        return [Error(f"GEOSTREAM_REDIS_READABLE or GEOSTREAM_REDIS_SLOW cannot be read: {error}", id="streaming.E005")]
    return []


@register(Tags.security, deploy=True)
def check_readable_names(**kwargs: Any) -> list[CheckMessage]:
    """Nobody opens the whole Redis unknowingly."""
    names = [name.strip().partition(" ")[0] for name in conf.REDIS_READABLE.split(",")]
    if "*" not in names:
        return []
    hint = "Name the hashes and channels that clients are to read, such as pub:*."
    return [Warning("GEOSTREAM_REDIS_READABLE has a *: clients may read everything in Redis.", hint=hint, id="streaming.W025")]
