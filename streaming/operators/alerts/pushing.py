"""Alerts on the topics of operators: who joins is sent those that fire, and then each that fires or is resolved."""

from __future__ import annotations

from channels.db import database_sync_to_async

from streaming.topics.channel import Channel

from .store import firing

EVENT = "alert"
"""What it is called on the topics of operators, and as an event."""


async def push_firing(channel: Channel) -> None:
    """One `alert` for each that fires. `DatabaseError` if the database does not answer."""
    for alert in await database_sync_to_async(firing)():
        if channel.member.room is not None:
            channel.push(EVENT, alert)
