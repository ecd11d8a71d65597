"""The Python client of GeoStream, for asyncio programs.

It needs nothing of Django: a script that only listens does not start a Django project.

    async with GeoStreamClient("ws://127.0.0.1:8000/ws") as client:
        flights = await client.subscribe_features("flights", bbox=(5.9, 45.8, 10.5, 47.8), filter="altitude_ft > 30000")
        async for change in flights:
            print(change.type, change.id, len(flights.features))
"""

from __future__ import annotations

from .backoff import Backoff
from .changes import Event, Feature, FeatureChange, FeatureId, FeatureKey
from .client import GeoStreamClient
from .errors import (
    ClientError,
    ConnectionClosedByServer,
    ConnectionFailed,
    ConnectionLost,
    PixelsUnavailable,
    ProtocolError,
    RequestRefused,
    RequestTimedOut,
)
from .event_subscription import EventSubscription
from .feature_subscription import FeatureSubscription
from .state import ConnectionState
from .tile_subscription import TileSubscription
from .tiles import Coords, Tile, TileKey

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
    "PixelsUnavailable",
    "ProtocolError",
    "RequestRefused",
    "RequestTimedOut",
    "Tile",
    "TileKey",
    "TileSubscription",
]
