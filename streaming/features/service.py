"""The service of feature layers: watches the layers, and has expired features deleted."""

from __future__ import annotations

from streaming.engine.service import Service

from .expiry import Expiry
from .layers import catalogue

EXPIRY_SECONDS = 1.0


class FeatureService(Service):
    """Watches the layers that this process uses, and deletes expired features."""

    async def start(self) -> None:
        """Watch the layers, and delete expired features once a second."""
        self.runtime.watch(catalogue)
        self.runtime.hub.every(EXPIRY_SECONDS, Expiry().expire_layers)
