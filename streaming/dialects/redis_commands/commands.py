"""The commands of one client. Subclass `RedisCommands` to add your own: a method `command_NEAR` answers `NEAR`, given its words.

class FleetCommands(RedisCommands):
    async def command_NEAR(self, words: Words) -> None:
        given = words.bind(("lon", "lat"), required=2, keyword_only=("client_ref",))
        nearest = await nearest_vehicle(words.number(given["lon"]), words.number(given["lat"]))
        self.reply("near", nearest, given.get("client_ref"))

GEOSTREAM_REDIS_COMMANDS = "fleet.commands.FleetCommands"
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Mapping
from copy import copy
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

import msgspec

from streaming.core.errors import StreamError
from streaming.engine.conf import conf

from .delivery.subscribers import Subscriber
from .envelopes import envelope, error, notice, pong
from .geojson.client_filters import ClientFilters
from .geojson.crs import Crs
from .grammar import (
    COMMANDS,
    VERSION,
    Bare,
    Bbox,
    Buffer,
    Command,
    CommandError,
    ErrorCode,
    Hello,
    Projection,
    Read,
    Subscription,
    Words,
    parse,
    refuse_binary,
    split,
)
from .permissions import UserPermissions
from .service import RedisCommandsService

if TYPE_CHECKING:
    from streaming.engine.client_connection import ClientConnection

PREFIX = "command_"
MAX_WAITING_BYTES, CHECK_SECONDS = 1024 * 1024, 0.02
"""Bytes that may wait for the client before more values of a hash are read; and how often that is checked."""
_CODES: dict[str, ErrorCode] = {
    "forbidden": "forbidden",
    "unauthenticated": "forbidden",
    "invalid_crs": "projection",
    "redis_unavailable": "unavailable",
    "rate_limited": "rate_limited",
    "too_large": "too_large",
}
NO_CRS = "this is not an EPSG code of a CRS that can be reached from degrees"
_QUIET = {"forbidden", "unauthenticated", "invalid_crs"}
"""Refusals about which the servers this protocol comes from were silent."""


class RedisCommands:
    """Carries out the commands of one client, one after the other."""

    own: ClassVar[Mapping[str, Callable[..., Any]]] = {}
    """The commands that subclasses add, by verb."""

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        methods = inspect.getmembers(cls, inspect.isfunction)
        cls.own = {name.removeprefix(PREFIX): method for name, method in methods if name.startswith(PREFIX)}

    def __init__(self, connection: ClientConnection, service: RedisCommandsService) -> None:
        self.connection = connection
        self.service = service
        self.filters = ClientFilters()
        self.subscriber = Subscriber(connection.outbox, connection.sender.framing, self.filters)
        channels = service.channels
        self.permissions = UserPermissions(
            channels.readable.permissions, lambda: connection.principal.user, partial(channels.grant, self.subscriber)
        )
        self.wants_errors = False
        self.wants_acks = False

    @property
    def user(self) -> Any:
        """The Django user, or `AnonymousUser`."""
        return self.connection.principal.user

    # -- for subclasses ----------------------------------------------------

    def reply(self, source: str, content: Any, client_reference: str | None = None) -> None:
        """Send an envelope with anything that is JSON."""
        self.send(envelope(source, msgspec.json.encode(content), client_reference))

    def send(self, *envelopes: bytes) -> None:
        """Send finished envelopes."""
        self.connection.outbox.send(*self.connection.sender.framing.pack(list(envelopes), True))

    # -- a message ---------------------------------------------------------

    async def receive(self, data: str | bytes) -> None:
        """Carry out one message. The client is sent an error, if it is one that it wants to know."""
        try:
            if isinstance(data, bytes):
                raise refuse_binary(data)
            words = split(data)
            if words.verb in self.own:
                await self._carry_out_own(words)
            else:
                await self.carry_out(parse(data))
        except CommandError as refused:
            if self.wants_errors or not refused.quiet:
                self.send(error(refused.code, refused.message, refused.client_reference))

    async def carry_out(self, command: Command) -> None:
        """One of the commands of the protocol. `CommandError`."""
        reference: str | None = getattr(command, "client_reference", None)
        try:
            await self._carry_out(command)
        except StreamError as refused:
            raise _command_error(refused, reference) from refused

    async def _carry_out_own(self, words: Words) -> None:
        try:
            await self.own[words.verb](self, words)
        except StreamError as refused:
            raise _command_error(refused, words.reference()) from refused

    async def _carry_out(self, command: Command) -> None:
        match command:
            case Read():
                await self._read(command)
            case Subscription():
                await self._change_subscription(command)
            case Bare(verb="PING"):
                self.send(pong())
            case Bare():
                self.service.clear(self)
                changed = copy(self.filters)
                changed.clear()
                self._see(changed)
            case Bbox():
                await self._bbox(command)
            case Projection():
                await self._projection(command)
            case Hello():
                self._hello(command)
            case Buffer():
                self.subscriber.set_buffer(command.messages, command.milliseconds / 1000)

    async def _change_subscription(self, command: Subscription) -> None:
        name, reference = command.name, command.client_reference
        match command.verb:
            case "SUB":
                await self.service.subscribe(self, name, reference)
            case "PSUB":
                await self.service.psubscribe(self, name, reference)
            case "DEL":
                self.service.unsubscribe(self, name)
            case "PDEL":
                self.service.channels.punsubscribe(self.subscriber, name)
        if self.wants_acks:
            status = "subscribed" if command.verb in ("SUB", "PSUB") else "unsubscribed"
            self.send(notice({"status": status, "channel": name}, reference))

    # -- reading -----------------------------------------------------------

    async def _read(self, command: Read) -> None:
        if self.connection.sender.ended:  # it has left: the answer would wait for nothing
            return
        filters = self.filters if command.verb == "GET" else await self._filters_of_its_own(command.crs)
        source = command.name if command.field is None else f"{command.name} {command.field}"
        if not await self.service.readable_by(command.name, self):
            raise CommandError("forbidden", "this name may not be read", command.client_reference, quiet=True)
        if command.field is not None:
            content = await self.service.field(command.name, command.field, filters, self)
            self.send(envelope(source, content or b"null", command.client_reference))
            return
        some = False
        async for contents in self.service.values(command.name, filters, self):
            some = True
            self.send(*(envelope(source, content, command.client_reference) for content in contents))
            if not await self._has_room():
                return
        if not some:
            self.send(envelope(source, b"null", command.client_reference))

    async def _has_room(self) -> bool:
        """Wait until the client has taken most of what it was sent: a hash may be larger than the memory. False if it has gone."""
        sender = self.connection.sender
        while self.connection.outbox.bytes > MAX_WAITING_BYTES and not sender.ended:
            await asyncio.sleep(CHECK_SECONDS)
        return not sender.ended

    async def _filters_of_its_own(self, crs: str | None) -> ClientFilters:
        filters = ClientFilters()
        if crs is not None:
            filters.set_projection(await self._crs(crs))
        return filters

    # -- filters -----------------------------------------------------------

    async def _crs(self, text: str) -> Crs:
        return await self.service.crs.find(text)

    async def _bbox(self, command: Bbox) -> None:
        crs = None if command.crs is None else await self._crs(command.crs)
        changed = copy(self.filters)
        if command.box is None:
            changed.clear_box()
        else:
            changed.set_box(command.box, crs)
        self._see(changed)

    async def _projection(self, command: Projection) -> None:
        crs = None if command.off else await self._crs(command.crs)
        changed = copy(self.filters)
        if crs is None:
            changed.clear_projection()
        else:
            changed.set_projection(crs)
        self._see(changed)

    def _see(self, changed: ClientFilters) -> None:
        """See values with these filters from now on. `StreamError` if too many different ones are in use."""
        self.service.in_use.change(self.filters.sight, changed.sight)
        self.filters = self.subscriber.filters = changed
        self.subscriber.filters_changed()

    def _hello(self, command: Hello) -> None:
        self.wants_errors, self.wants_acks = command.errors, command.acks
        if self.filters.trim != command.trim:
            self.filters.trim = command.trim
            self.subscriber.filters_changed()
        self.subscriber.wants_gaps = command.errors
        limits = {
            "command_bytes": conf.REDIS_COMMAND_BYTES,
            "subscriptions": conf.REDIS_SUBSCRIPTIONS,
            "patterns": conf.REDIS_PATTERNS,
            "values": conf.REDIS_VALUES,
        }
        self.send(notice({"status": "hello", "version": VERSION, "commands": [*COMMANDS, *self.own], "limits": limits}))


def _command_error(refused: StreamError, reference: str | None) -> CommandError:
    message = NO_CRS if refused.code == "invalid_crs" else refused.message  # which repeats what the client sent
    return CommandError(_CODES.get(refused.code, "arguments"), message, reference, quiet=refused.code in _QUIET)
