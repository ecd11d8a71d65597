"""The HTTP API as an installed part: REST, tiles and tokens."""

from __future__ import annotations

from streaming.engine.registry import EngineApp


class ApiConfig(EngineApp):
    """REST API."""

    name = "streaming.api"
    label = "streaming_api"
    verbose_name = "REST API"
    requires = ("streaming.features", "streaming.tiles", "streaming.topics")
    urlconf = "streaming.api.urls"
