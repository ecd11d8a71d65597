"""The topic patterns that GeoStream itself has. They come after the project's own."""

from __future__ import annotations

from ..routes import topic
from .layer import LayerChannel
from .open import OpenChannel
from .system import SystemChannel

topicpatterns = [topic("system", SystemChannel), topic("layer:*", LayerChannel), topic("*", OpenChannel)]
