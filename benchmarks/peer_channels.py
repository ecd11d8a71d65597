"""A broadcast as the tutorial of Channels makes it: a consumer in a group, a view that sends to it; channels_redis' layer for pub/sub."""

from __future__ import annotations

import os
from typing import Any

from django.conf import settings

settings.configure(
    CHANNEL_LAYERS={"default": {"BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer", "CONFIG": {"hosts": [os.environ["REDIS_URL"]]}}}
)

from channels.generic.websocket import AsyncWebsocketConsumer  # noqa: E402
from channels.layers import get_channel_layer  # noqa: E402

GROUP = "bench"


class Consumer(AsyncWebsocketConsumer):  # type: ignore[misc]
    """One client."""

    groups = [GROUP]

    async def news(self, event: dict[str, Any]) -> None:
        """Pass on."""
        await self.send(text_data=event["text"])


_consumer = Consumer.as_asgi()


async def application(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """POST /publish, or a client."""
    if scope["type"] == "websocket":
        await _consumer(scope, receive, send)
    elif scope["type"] == "http":
        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        await get_channel_layer().group_send(GROUP, {"type": "news", "text": body.decode()})
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body"})
