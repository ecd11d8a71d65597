"""The commands of operators: end a member, end a connection, publish on a topic. In every process at once, and never without a trace.

Each act is an entry in the admin's log, with who did what to whom, before it is done; payloads are in no log.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Protocol, cast

import msgspec
from channels.db import database_sync_to_async
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.auth import get_user_model
from django.contrib.contenttypes.models import ContentType

from streaming.core.errors import StreamError
from streaming.core.redis import refusing
from streaming.models import Presence
from streaming.topics.channel import packed
from streaming.topics.names import check_event, check_topic
from streaming.topics.rooms import Member

if TYPE_CHECKING:
    from streaming.topics.service import Topics

logger = logging.getLogger(__name__)

PERMISSION = "streaming.operate_topics"
MAX_ID = 1024
"""Characters of a member's or a connection's id."""


class Kick(msgspec.Struct, forbid_unknown_fields=True):
    """End one member: `<connection>:<topic>:<join_ref>`."""

    agent: str

    @property
    def what(self) -> str:
        """For the log."""
        return f"Kicked {_checked_id(self.agent)}"

    async def act(self, topics: Topics) -> None:
        """Wherever it is."""
        with refusing():
            await topics.runtime.hub.control("topics.kick", agent=self.agent)


class Disconnect(msgspec.Struct, forbid_unknown_fields=True):
    """End one connection, by its long id."""

    connection: str

    @property
    def what(self) -> str:
        """For the log."""
        return f"Disconnected {_checked_id(self.connection)}"

    async def act(self, topics: Topics) -> None:
        """Wherever it is."""
        with refusing():
            await topics.runtime.hub.control("connection.close", connection=self.connection)


class Broadcast(msgspec.Struct, forbid_unknown_fields=True):
    """Send an event to all members of a topic."""

    topic: str
    event: str
    payload: Any = msgspec.field(default_factory=dict)

    @property
    def what(self) -> str:
        """For the log."""
        check_topic(self.topic)
        check_event(self.event)
        if self.event.startswith(("phx_", "presence_")):
            raise StreamError("bad_request", "events that begin with phx_ or presence_ are the protocol's own")
        return f"Broadcast {self.event!r} on {self.topic}"

    async def act(self, topics: Topics) -> None:
        """In every process."""
        await topics.bridge.broadcast(self.topic, self.event, *packed(self.payload))


COMMANDS: dict[str, type[Kick | Disconnect | Broadcast]] = {"kick": Kick, "disconnect": Disconnect, "broadcast": Broadcast}


async def operate(topics: Topics, user: Any, command: str, payload: Any) -> None:
    """Do what an operator asks. `StreamError`: forbidden, bad_request, redis_unavailable; for tokens `user` is nobody."""
    if not await may_operate(user):
        raise StreamError("forbidden", f"this needs the permission {PERMISSION}")
    try:
        wanted = msgspec.convert(payload, COMMANDS[command])
    except msgspec.ValidationError as error:
        raise StreamError("bad_request", str(error)) from error
    what = wanted.what
    await database_sync_to_async(record)(user.pk, what)
    logger.warning("the operator %s: %s", user.get_username(), what)
    await wanted.act(topics)


async def may_operate(user: Any) -> bool:
    """Whether this user may act, asked anew: what a connection remembers may be minutes old."""
    return bool(await database_sync_to_async(_may_operate)(user))


def _may_operate(user: Any) -> bool:
    fresh = None if user.pk is None else get_user_model()._default_manager.filter(pk=user.pk, is_staff=True).first()
    return fresh is not None and fresh.has_perm(PERMISSION)


def record(user_id: Any, what: str) -> None:
    """Write into the admin's log what a user is about to do. For threads."""
    kind = ContentType.objects.get_for_model(Presence)
    LogEntry.objects.create(user_id=user_id, content_type=kind, object_repr=what[:200], action_flag=CHANGE, change_message=what)


def _checked_id(id: str) -> str:
    if not id or len(id) > MAX_ID or not id.isprintable():
        raise StreamError("bad_request", "this cannot be an id")
    return id


class _Ends(Protocol):
    async def end(self, member: Member, event: str, payload: dict[str, Any]) -> None:
        """The channel of a member ends."""


def kick(topics: Topics, agent: str) -> None:
    """End a member if it is of this process. Its client does not join again by itself."""
    member = topics.rooms.member(agent)
    if member is not None and member.channel is not None:
        session = cast(_Ends, member.channel.connection.session)
        topics.spawn(session.end(member, "phx_close", {"reason": "kicked"}))
