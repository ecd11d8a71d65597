"""Adds GeoStream to a Django project's ASGI application.

from streaming.asgi import with_streams
application = with_streams(get_asgi_application())
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from channels.routing import ProtocolTypeRouter, URLRouter

from .engine.log_context import WithRequestId


def with_streams(django: Any, websocket_urlpatterns: Sequence[Any] = ()) -> WithRequestId:
    """The application for HTTP, WebSockets and the server's lifespan. Call it when Django has been set up.

    `django` is what `get_asgi_application()` returned. WebSocket routes of the project's own come before those of GeoStream.
    """
    from . import routing
    from .api.fast_publish import HttpApplication
    from .engine.lifespan import lifespan

    return WithRequestId(
        ProtocolTypeRouter(
            {
                "http": HttpApplication(django),
                "websocket": URLRouter([*websocket_urlpatterns, *routing.websocket_urlpatterns]),
                "lifespan": lifespan,
            }
        )
    )
