"""What the database keeps: layers and tilesets, which are configuration, and who is connected."""

from __future__ import annotations

from .layers import Layer
from .monitoring import Connection, Node, Presence, Subscription
from .tilesets import Tileset

__all__ = ["Connection", "Layer", "Node", "Presence", "Subscription", "Tileset"]
