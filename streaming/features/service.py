"""The service of feature layers: it watches which layers there are, and deletes features that have expired."""

from __future__ import annotations

from streaming.engine.service import Service

from .expiry import Expiry
from .layers import catalogue

EXPIRY_SECONDS = 1.0


class FeatureService(Service):
    """Watches the layers of this process, and deletes features that were silent for longer than their layer's lifetime."""

    async def start(self) -> None:
        """Watch the layers, and look for expired features once a second."""
        self.runtime.watch(catalogue)
        self.runtime.hub.every(EXPIRY_SECONDS, Expiry().expire_layers)
