"""Bans of those who send requests: checked where a request is authenticated, from the memory of the process."""

from __future__ import annotations

from .lifespan import running


def refuse_banned(address: str, user_id: int | None) -> None:
    """`StreamError("banned")` for a user, or whoever is at an address, that is banned. Where no engine runs, nobody is known to be."""
    runtime = running()
    if runtime is not None:
        runtime.connections.refuse_banned(address, user_id)
