"""The session of one client of Phoenix Channels: the topics it has joined, and the answers to its pushes.

A topic is joined once: a new join replaces the old one. What belongs to an older join is ignored. A channel that fails ends alone; only a
frame that is none ends the connection.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

import msgspec
from django.db import DatabaseError

from streaming.core.errors import CloseCode, StreamError
from streaming.core.json_decoding import INLINE_BYTES
from streaming.core.view import View
from streaming.engine.conf import conf
from streaming.engine.work import WorkQueue
from streaming.topics.channel import Push, Refused, Reply, Stop, token_detail
from streaming.topics.rooms import Member
from streaming.topics.service import Topics
from streaming.topics.tokens import MAX_TOKEN_BYTES, verify

from .encoder import room_encoder
from .frames import Frame, FrameError, UnreadablePayload
from .joining import Joining
from .serializers import Serializer

if TYPE_CHECKING:
    from streaming.engine.client_connection import ClientConnection

logger = logging.getLogger(__name__)

HEARTBEAT = ("phoenix", "heartbeat")
EMPTY: dict[str, Any] = {}
_RESERVED = {"presence_state", "presence_diff", "presence_count", "token_expiring"}


class PhoenixSession:
    """Answers one client. Frames are handled one after the other, in the order they came."""

    dialect: ClassVar[str] = "phoenix"
    spare_pings = True

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection
        self.outbox = connection.outbox
        self.serializer: Serializer = connection.serializer  # type: ignore[attr-defined]  # of the peers that speak this dialect
        self.framing = connection.sender.framing
        self.encoder = room_encoder(self.serializer, self.framing)
        self.members: dict[str, Member] = {}
        self.revision = 0
        self.closed = False
        self.topics = connection.runtime.service(Topics)
        self._joining = Joining(self)
        self._due = float("inf")

    # -- frames ------------------------------------------------------------

    async def receive(self, data: str | bytes) -> None:
        """Handle one frame."""
        try:
            frame = await self._decoded(data)
        except UnreadablePayload as error:
            self._refuse(error.frame, error)
            return
        except FrameError as error:
            self.connection.close(CloseCode.BAD_PROTOCOL, str(error))
            return
        try:
            await self._handle(frame)
        except FrameError as error:
            self._refuse(frame, error)

    async def _decoded(self, data: str | bytes) -> Frame:
        """The frame; a large one is decoded in a thread."""
        if len(data) <= INLINE_BYTES or isinstance(data, bytes):
            return self.serializer.decode(data)
        return await self.connection.runtime.service(WorkQueue).run(self.outbox, self.serializer.decode, data)

    def _refuse(self, frame: Frame, error: FrameError) -> None:
        self.answer(frame, Reply("error", {"reason": "bad_request", "detail": str(error)}))

    async def _handle(self, frame: Frame) -> None:
        if not isinstance(frame.topic, str) or not isinstance(frame.event, str):
            self._unmatched(frame)
        elif (frame.topic, frame.event) == HEARTBEAT:
            self.answer(frame._replace(join_ref=None), Reply())
        elif frame.event == "phx_join":
            await self._joining.join(frame)
        elif frame.event == "phx_leave":
            await self._leave(frame)
        elif (member := self.members.get(frame.topic)) is None:
            self._unmatched(frame)
        elif frame.join_ref is None or frame.join_ref == member.join_ref:
            await self._push(member, frame)

    def _unmatched(self, frame: Frame) -> None:
        self.answer(frame._replace(join_ref=None), Reply("error", {"reason": "unmatched topic"}))

    async def _push(self, member: Member, frame: Frame) -> None:
        if frame.event == "access_token":
            self.answer(frame, await self._renew(member, frame), member.join_ref)
            return
        if frame.event.startswith("phx_") or frame.event in _RESERVED:
            self.answer(frame, Reply("error", {"reason": "reserved event"}), member.join_ref)
            return
        assert member.channel is not None
        try:
            reply = await member.channel.receive(Push(frame.event, frame.payload, frame.binary, frame.ref))
            if isinstance(reply, asyncio.Future):
                reply.add_done_callback(partial(self._answered, member, frame))
                return
            self._react(member, frame, reply)
        except Exception as error:
            if not isinstance(error, StreamError | DatabaseError):
                logger.exception("the channel of %s failed", member.topic)
                await self.end(member, "phx_error", {"reason": "channel_crash"})
                return
            code, detail = (error.code, error.message) if isinstance(error, StreamError) else ("internal", "the database does not answer")
            self.answer(frame, Reply("error", {"reason": code, "detail": detail}), member.join_ref)
            return
        if isinstance(reply, Stop):
            await self.end(member, "phx_close", EMPTY)

    def _react(self, member: Member, frame: Frame, reply: Reply | Stop | None) -> None:
        answer = reply.reply if isinstance(reply, Stop) else reply
        if answer is not None and self.members.get(member.topic) is member:
            self.answer(frame, answer, member.join_ref)
            if answer.then is not None:
                answer.then()

    def _answered(self, member: Member, frame: Frame, outcome: asyncio.Future[Reply]) -> None:
        """A push whose answer took its time."""
        if not self.closed and not outcome.cancelled() and outcome.exception() is None:
            self._react(member, frame, outcome.result())

    async def _leave(self, frame: Frame) -> None:
        member = self.members.get(frame.topic)
        if member is None:
            self.answer(frame, Reply())
        elif frame.join_ref is None or frame.join_ref == member.join_ref:
            self.answer(frame, Reply(), member.join_ref)
            await self.end(member, "phx_close", EMPTY)

    # -- answers -----------------------------------------------------------

    def answer(self, frame: Frame, reply: Reply, join_ref: Any = None) -> None:
        """Answer a frame; with the join's reference if the frame had none."""
        join_ref = frame.join_ref if frame.join_ref is not None else join_ref
        if isinstance(reply.response, bytes):
            payload = self.serializer.binary_reply(join_ref, frame.ref, frame.topic, reply.status, reply.response)
            if payload is not None:
                self._send(payload, not self.serializer.binary_frames)
                return
            reply = Reply("error", {"reason": "binary", "detail": "the answer is binary, which this serializer or transport cannot carry"})
        response = msgspec.json.encode(reply.response)
        self._send(self.serializer.reply(join_ref, frame.ref, frame.topic, reply.status, response), True)

    def _send(self, payload: bytes, text: bool) -> None:
        self.outbox.send(*self.framing.pack([payload], text))

    # -- joins and ends ----------------------------------------------------

    def enter(self, member: Member) -> Member | None:
        """The member receives messages from now on. Returns the join that it replaces."""
        before = self.members.get(member.topic)
        if before is not None:
            self.topics.remove(before)
        self.members[member.topic] = member
        self.topics.add(member)
        self._due = min(self._due, _due(member))
        self.revision += 1
        return before

    def send_end(self, member: Member, event: str, payload: dict[str, Any]) -> None:
        """`phx_close`, after which clients do not come back, or `phx_error`, after which they do."""
        frame = self.serializer.text(member.join_ref, member.join_ref, member.topic, event, msgspec.json.encode(payload))
        self._send(frame, True)

    async def end(self, member: Member, event: str, payload: dict[str, Any]) -> None:
        """The channel ends here, and only it."""
        if self.members.get(member.topic) is not member:
            return
        del self.members[member.topic]
        self.revision += 1
        self.topics.remove(member)
        self.send_end(member, event, payload)
        await self.topics.notify_leave(member)

    # -- tokens ------------------------------------------------------------

    async def _renew(self, member: Member, frame: Frame) -> Reply:
        assert member.channel is not None
        try:
            given = msgspec.json.decode(frame.payload) if not frame.binary and len(frame.payload) <= 2 * MAX_TOKEN_BYTES else {}
            claims = verify(str(given.get("access_token") or given.get("token")))
            if not claims.opens(member.topic) or claims.id != member.key:
                raise Refused
            await self.topics.token_logins.check(claims)
        except StreamError as error:
            return Reply("error", {"reason": "unauthorized", **token_detail(error)})
        except (Refused, AttributeError, msgspec.ValidationError):
            return Reply("error", {"reason": "unauthorized"})
        member.channel.claims = claims
        self.topics.token_logins.add(member)
        self.watch_expiry()
        return Reply()

    def watch_expiry(self) -> None:
        """Find out when the next token ends."""
        self._due = min(map(_due, self.members.values()), default=float("inf"))

    def tick(self, now: float) -> None:
        """Warn those whose token ends soon, end those whose token has ended."""
        if now >= self._due:
            for member in list(self.members.values()):
                self._check_token(member, now)

    def _check_token(self, member: Member, now: float) -> None:
        assert member.channel is not None
        claims = member.channel.claims
        if claims is None:
            return
        if claims.expires <= now:
            self.topics.spawn(self.end(member, "phx_error", {"reason": "token expired"}))
        elif claims.expires - conf.TOKEN_WARNING_SECONDS <= now and member.channel.warned != claims:
            member.channel.warned = claims
            member.push("token_expiring", msgspec.json.encode({"expires_in": int(claims.expires - now)}))

    # -- for the connection ------------------------------------------------

    def expire(self, reason: StreamError) -> None:
        """Send the reason why the connection is about to be closed."""
        for member in self.members.values():
            self.send_end(member, "phx_error", {"reason": reason.code})

    def describe(self) -> list[dict[str, Any]]:
        """The joined topics, for the admin."""
        return [
            {
                "id": member.topic,
                "since": member.since,
                "waiting": len(member.queue),
                "dropped": member.queue.dropped,
                **(member.channel.describe() if member.channel is not None else {}),
            }
            for member in self.members.values()
        ]

    @property
    def format(self) -> str:
        """The version of the serializer: only those of version 2 know the reference of a join."""
        return "JSON, vsn 2" if self.serializer.join_refs else "JSON, vsn 1"

    def views(self, subscription_id: str) -> Mapping[str, View]:
        """That of a layer's topic."""
        member = self.members.get(subscription_id)
        return {} if member is None or member.channel is None else member.channel.views()

    def access_changed(self) -> None:
        """What may be read may have changed."""
        for member in list(self.members.values()):
            try:
                if member.channel is not None:
                    member.channel.refresh()
            except Exception:  # the other members still have to be checked
                logger.exception("the channel of %s failed", member.topic)
                self.topics.spawn(self.end(member, "phx_error", {"reason": "channel_crash"}))

    def close(self) -> None:
        """Leave everything."""
        self.closed = True
        members, self.members = self.members, {}
        for member in members.values():
            self.topics.remove(member)
            self.topics.spawn(self.topics.notify_leave(member))


def _due(member: Member) -> float:
    """When the member has to be warned that its token ends."""
    claims = None if member.channel is None else member.channel.claims
    return float("inf") if claims is None else claims.expires - conf.TOKEN_WARNING_SECONDS
