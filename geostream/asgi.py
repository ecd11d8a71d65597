"""The ASGI application: Django for HTTP, GeoStream's endpoints for WebSockets, and the engine's life for lifespan."""

from __future__ import annotations

import os

from channels.routing import ProtocolTypeRouter, URLRouter
from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "geostream.settings")
http_application = get_asgi_application()

from streaming.api.fast_publish import HttpApplication  # noqa: E402 (needs Django to be set up)
from streaming.engine.runtime import lifespan  # noqa: E402
from streaming.routing import websocket_urlpatterns  # noqa: E402

application = ProtocolTypeRouter(
    {
        "http": HttpApplication(http_application),
        "websocket": URLRouter(websocket_urlpatterns),
        "lifespan": lifespan,
    }
)
