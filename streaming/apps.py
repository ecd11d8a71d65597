"""Connects the engine to this Django project when Django has loaded."""

from __future__ import annotations

from django.apps import AppConfig
from django.conf import settings
from django.utils.module_loading import import_string


class StreamingConfig(AppConfig):
    """The engine as a Django app."""

    name = "streaming"
    verbose_name = "Live layers"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from channels.layers import get_channel_layer

        from streaming.engine import checks  # noqa: F401 (registers the admin pages, the checks and the receivers)
        from streaming.operators import admin  # noqa: F401 (registers the admin pages, the checks and the receivers)
        from streaming.tiles import signals  # noqa: F401 (registers the admin pages, the checks and the receivers)

        from .core.doorbell import doorbell
        from .core.redis import configure

        configure(lambda: import_string(settings.GEOSTREAM_REDIS_RESOLVER)())
        doorbell.configure(get_channel_layer)
