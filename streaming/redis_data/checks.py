"""System check of `GEOSTREAM_REDIS_LAYERS`."""

from __future__ import annotations

from typing import Any

from django.core.checks import CheckMessage, Error, register
from django.core.exceptions import ImproperlyConfigured

from streaming.engine.conf import conf

from .sources import LayerSources


@register()
def check_redis_layers(**kwargs: Any) -> list[CheckMessage]:
    """An error if the setting cannot be read; else the server would not start."""
    try:
        LayerSources(conf.REDIS_LAYERS)
    except ImproperlyConfigured as error:
        return [Error(f"GEOSTREAM_REDIS_LAYERS cannot be read: {error}", id="streaming.E009")]
    return []
