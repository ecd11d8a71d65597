"""What the database keeps: layers and tilesets, who is connected, who changed which files, and what operators are alerted of."""

from __future__ import annotations

from .alerts import Alert, AlertDelivery, AlertRule, AlertWebhook
from .files import FileChange, FileIngest, SyncClient, TrashedFile
from .layers import Layer
from .monitoring import Connection, Node, Presence, Subscription
from .tilesets import Tileset

__all__ = [
    "Alert",
    "AlertDelivery",
    "AlertRule",
    "AlertWebhook",
    "Connection",
    "FileChange",
    "FileIngest",
    "Layer",
    "Node",
    "Presence",
    "Subscription",
    "SyncClient",
    "Tileset",
    "TrashedFile",
]
