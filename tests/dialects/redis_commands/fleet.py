"""A project's own commands, as the documentation shows them."""

from __future__ import annotations

import asyncio
from typing import Any, ClassVar

from streaming.core.errors import StreamError
from streaming.dialects.redis_commands.commands import RedisCommands
from streaming.dialects.redis_commands.grammar import Words

VEHICLES = {"tram 4": (8.54, 47.38), "bus 31": (8.50, 47.39)}


class FleetCommands(RedisCommands):
    """`NEAR 8.5 47.4 client_ref=1`: the nearest vehicle. `RENT` is for users; `TOW` and `CRASH` fail.

    `WAIT` never ends; `LOG` takes a moment.
    """

    waiting: ClassVar[asyncio.Event]
    logged: ClassVar[list[str]]

    def __init__(self, connection: Any, service: Any) -> None:
        super().__init__(connection, service)
        FleetCommands.waiting, FleetCommands.logged = asyncio.Event(), []

    async def command_NEAR(self, words: Words) -> None:
        given = words.bind(("lon", "lat"), required=2, keyword_only=("client_ref",))
        lon, lat = words.number(given["lon"]), words.number(given["lat"])
        nearest = min(VEHICLES, key=lambda name: abs(VEHICLES[name][0] - lon) + abs(VEHICLES[name][1] - lat))
        self.reply("near", {"vehicle": nearest}, given.get("client_ref"))

    async def command_RENT(self, words: Words) -> None:
        if not self.user.is_authenticated:
            raise StreamError("unauthenticated", "log in first")
        self.reply("rent", self.user.username)

    async def command_TOW(self, words: Words) -> None:
        raise StreamError("redis_unavailable", "Redis does not answer")

    async def command_WAIT(self, words: Words) -> None:
        FleetCommands.waiting.set()
        await asyncio.Event().wait()

    async def command_LOG(self, words: Words) -> None:
        await asyncio.sleep(0.01)
        FleetCommands.logged.append(words.positional[0])

    async def command_CRASH(self, words: Words) -> None:
        raise RuntimeError("of a programmer")


class BerlinCommands(FleetCommands):
    """Another project's, which changes one of the protocol's commands."""

    async def command_DEL(self, words: Words) -> None:
        self.reply("fleet", "never")
