"""The Python client of GeoStream, for asyncio programs.

It needs nothing of Django: a script that only listens does not start a Django project.

    async with GeoStreamClient("ws://127.0.0.1:8000/ws") as client:
        flights = await client.subscribe_features("flights", bbox=(5.9, 45.8, 10.5, 47.8), filter="altitude_ft > 30000")
        async for change in flights:
            print(change.type, change.id, len(flights.features))
"""

from __future__ import annotations

from streaming.client.backoff import Backoff
from streaming.client.changes import Event, Feature, FeatureChange, FeatureId, FeatureKey
from streaming.client.client import GeoStreamClient
from streaming.client.errors import (
    ClientError,
    ConnectionClosedByServer,
    ConnectionFailed,
    ConnectionLost,
    ProtocolError,
    RequestRefused,
    RequestTimedOut,
)
from streaming.client.event_subscription import EventSubscription
from streaming.client.feature_subscription import FeatureSubscription
from streaming.client.state import ConnectionState
from streaming.client.tile_subscription import TileSubscription
from streaming.client.tiles import Coords, Tile, TileKey

__all__ = [
    "Backoff",
    "ClientError",
    "ConnectionClosedByServer",
    "ConnectionFailed",
    "ConnectionLost",
    "ConnectionState",
    "Coords",
    "Event",
    "EventSubscription",
    "Feature",
    "FeatureChange",
    "FeatureId",
    "FeatureKey",
    "FeatureSubscription",
    "GeoStreamClient",
    "ProtocolError",
    "RequestRefused",
    "RequestTimedOut",
    "Tile",
    "TileKey",
    "TileSubscription",
]
