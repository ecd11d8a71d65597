"""Joins of one client: permission, rate limit, and the reply."""

from __future__ import annotations

import logging
import time
import weakref
from typing import TYPE_CHECKING, Any

import msgspec
from django.db import DatabaseError

from streaming.core.errors import StreamError
from streaming.engine.conf import conf
from streaming.topics.channel import Channel, Refused, Reply, decoded
from streaming.topics.names import check_topic
from streaming.topics.rooms import Member
from streaming.topics.routes import resolve

from .frames import Frame

if TYPE_CHECKING:
    from .session import PhoenixSession

logger = logging.getLogger(__name__)

MAX_REFERENCE = 32
"""Characters of a reference that become part of a member's id."""
SHOWN = 80
"""Characters of a refused topic that are logged: it may be anything."""


class Joining:
    """The joins of one session."""

    def __init__(self, session: PhoenixSession) -> None:
        self._session: PhoenixSession = weakref.proxy(session)  # which has this
        self._due = 0.0  # the leaky bucket: when the next join would be due at the steady rate
        self._numbers = 0

    async def join(self, frame: Frame) -> None:
        """Answer a join; on success the client is a member when this returns."""
        session = self._session
        try:
            self._check(frame.topic)
            member, channel = self._member(frame)
            response = await self._ask(channel, frame)
            answer = Reply("ok", {} if response is None else response)
            msgspec.json.encode(answer.response)  # before anything is sent: it may not be JSON
        except Refused as refused:
            logger.info("join of %a by %s refused: %s", frame.topic[:SHOWN], session.connection.address, refused)
            self._refuse(frame, refused)
            return
        except Exception:
            logger.exception("the join of %s failed", frame.topic)
            session.answer(frame, Reply("error", {"reason": "join crashed"}))
            return
        if session.closed:
            session.topics.spawn(session.topics.notify_leave(member))
            return
        await self._enter(frame, member, channel, answer)

    async def _enter(self, frame: Frame, member: Member, channel: Channel, answer: Reply) -> None:
        """Nothing awaits until the reply is sent: messages on the topic from now on come behind it."""
        session = self._session
        before = session.enter(member)
        session.answer(frame, answer)
        if before is not None:
            session.send_end(before, "phx_close", {})
        try:
            await channel.joined()
        except Exception:
            logger.exception("the channel of %s failed", member.topic)
            await session.end(member, "phx_error", {"reason": "channel_crash"})
        if before is not None:
            await session.topics.notify_leave(before)

    def _check(self, topic: str) -> None:
        limited = self._limited()
        if topic not in self._session.members and len(self._session.members) >= conf.MAX_CHANNELS:
            raise Refused("too many channels joined")
        if limited:
            raise Refused("rate limited")
        if topic and topic != "phoenix":
            try:
                check_topic(topic)
            except StreamError as error:
                raise Refused("bad topic", detail=error.message) from error

    def _limited(self) -> bool:
        """Whether this join comes too early."""
        now = time.monotonic()
        rate = conf.JOINS_PER_SECOND
        self._due = max(self._due, now - conf.MAX_CHANNELS / rate) + 1 / rate
        if self._due <= now:
            return False
        self._due = min(self._due, now + 1)
        return True

    def _member(self, frame: Frame) -> tuple[Member, Channel]:
        session = self._session
        route = resolve(frame.topic) if frame.topic and frame.topic != "phoenix" else None
        if route is None:
            raise Refused("unmatched topic")
        join_ref = frame.join_ref if frame.join_ref is not None or not session.serializer.join_refs else frame.ref
        member = Member(self._id(frame), frame.topic, session.outbox, session.encoder, join_ref)
        channel = route.channel(frame.topic, route.subtopic(frame.topic), member, session.connection, session.topics)
        member.channel = channel
        return member, channel

    def _id(self, frame: Frame) -> str:
        reference = frame.join_ref if frame.join_ref is not None else frame.ref
        if not isinstance(reference, str) or len(reference) > MAX_REFERENCE or ":" in reference:
            reference = "-"
        found = f"{self._session.connection.name}:{frame.topic}:{reference}"
        before = self._session.members.get(frame.topic)
        if before is not None and f"{before.id}~".startswith(f"{found}~"):  # the same reference again is another join
            self._numbers += 1
            found = f"{found}~{self._numbers}"
        return found

    async def _ask(self, channel: Channel, frame: Frame) -> Any:
        try:
            params = None if frame.binary else decoded(frame.payload)
            if not isinstance(params, dict | None):
                raise Refused("join crashed", detail="the payload of a join is an object")
            await channel.look_up_login(params or {})
            return await channel.join(params or {})
        except StreamError as error:
            code = "unauthorized" if error.code in {"forbidden", "unauthenticated"} else error.code
            raise Refused(code, detail=error.message) from error
        except DatabaseError as error:
            logger.error("a join could not be judged: %s", error)
            raise Refused("internal", detail="the database does not answer; try again") from error

    def _refuse(self, frame: Frame, refused: Refused) -> None:
        reply = Reply("error", refused.response)
        unrouted = refused.response["reason"] == "unmatched topic"
        self._session.answer(frame._replace(join_ref=None) if unrouted else frame, reply)
