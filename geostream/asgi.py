"""The ASGI application: Django for HTTP, GeoStream's endpoints for WebSockets, and the engine's life for lifespan."""

from __future__ import annotations

import os

from django.core.asgi import get_asgi_application

from streaming.asgi import with_streams

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "geostream.settings")
application = with_streams(get_asgi_application())
