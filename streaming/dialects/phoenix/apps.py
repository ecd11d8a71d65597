"""Phoenix Channels as an installed part."""

from __future__ import annotations

from streaming.engine.registry import EngineApp
from streaming.engine.settings import Setting


class PhoenixConfig(EngineApp):
    """Phoenix Channels."""

    name = "streaming.dialects.phoenix"
    label = "streaming_phoenix"
    verbose_name = "Phoenix Channels"
    dialect = "phoenix"
    requires = ("streaming.topics",)
    services = ("streaming.dialects.phoenix.polls.Polls",)
    websocket_urlconf = "streaming.dialects.phoenix.routing"
    messages = "streaming.dialects.phoenix.message_types.SOCKET"
    urlconf = "streaming.dialects.phoenix.urls"
    settings = (
        Setting(
            "PHOENIX_PREFIXES", "", "comma-separated paths under which Phoenix clients connect, besides `/`, `/socket` and `/websocket`"
        ),
        Setting("PHOENIX_IDLE_SECONDS", 60.0, "silence of a Phoenix client after which it is closed (0: never); it sends heartbeats"),
        Setting("MAX_CHANNELS", 1000, "topics that one Phoenix client may have joined"),
        Setting("JOINS_PER_SECOND", 50.0, "joins of one Phoenix client a second, beyond as many at once as it may have joined", least=0.1),
        Setting("TOKEN_WARNING_SECONDS", 60.0, "how long before the end of its channel token a member is warned"),
    )
