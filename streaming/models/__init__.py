"""What the database keeps: layers and tilesets, which are configuration, who is connected, and who changed which files."""

from __future__ import annotations

from .files import FileChange, FileIngest, SyncClient, TrashedFile
from .layers import Layer
from .monitoring import Connection, Node, Presence, Subscription
from .tilesets import Tileset

__all__ = ["Connection", "FileChange", "FileIngest", "Layer", "Node", "Presence", "Subscription", "SyncClient", "Tileset", "TrashedFile"]
