"""What one process runs for feature layers."""

from __future__ import annotations

from streaming.engine.service import Service

from .expiry import Expiry
from .layers import catalogue

EXPIRY_SECONDS = 1.0


class FeatureService(Service):
    """Notices changed layers, and has silent features expire."""

    async def start(self) -> None:
        """Watch."""
        self.runtime.watch(catalogue)
        self.runtime.hub.every(EXPIRY_SECONDS, Expiry().expire_layers)
