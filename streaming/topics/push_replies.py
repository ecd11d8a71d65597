"""Envelopes: pushes that a backend answers one by one, instead of publishing to all members of the topic.

An envelope has who pushed what, and where the answer goes. Only topics of `GEOSTREAM_PUSH_ENVELOPES` have them.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from itertools import count
from typing import Any, Literal

import msgspec

from streaming.core.bus import Arrival, Bus
from streaming.core.errors import StreamError
from streaming.engine.conf import conf

from .channel import Channel, Push, Reply

logger = logging.getLogger(__name__)


class Envelope(msgspec.Struct):
    """What a backend receives on `envelope:<topic>:<event>`."""

    push: str
    reply_to: str
    conn: str
    id: str
    user: str
    topic: str
    event: str
    ref: Any
    payload: Any


class Answer(msgspec.Struct):
    """What a backend publishes on `reply_to`: the `push` it answers, and the answer to the client."""

    push: str
    status: Literal["ok", "error"] = "ok"
    response: msgspec.Raw = msgspec.Raw(b"{}")


class Envelopes:
    """The pushes of this process that wait for an answer."""

    def __init__(self, bus: Bus, node: str) -> None:
        self._bus = bus
        self._reply_to = f"reply:{node}"
        self._numbers = count(1)
        self._waiting: dict[str, asyncio.Future[Reply]] = {}
        bus.on_channel(self._reply_to, self._answered)

    def send(self, channel: Channel, push: Push) -> asyncio.Future[Reply]:
        """Publish a push with its envelope. The future is the backend's answer, or why there is none."""
        loop = asyncio.get_running_loop()
        number = f"{channel.member.id}/{next(self._numbers)}"
        answer: asyncio.Future[Reply] = loop.create_future()
        self._waiting[number] = answer
        timer = loop.call_later(conf.PUSH_REPLY_SECONDS, self._give, number, Reply("error", {"reason": "timeout"}))
        answer.add_done_callback(lambda _: timer.cancel())
        published = self._bus.publish(f"envelope:{channel.topic}:{push.event}", self._envelope(number, channel, push))
        published.add_done_callback(lambda outcome: self._published(number, outcome))
        return answer

    def _envelope(self, number: str, channel: Channel, push: Push) -> bytes:
        return msgspec.json.encode(
            Envelope(
                push=number,
                reply_to=self._reply_to,
                conn=channel.connection.name,
                id=channel.member.id,
                user=channel.member.key,
                topic=channel.topic,
                event=push.event,
                ref=push.ref,
                payload={"base64": push.raw} if push.binary else msgspec.Raw(push.raw),
            )
        )

    def _published(self, number: str, outcome: asyncio.Future[int]) -> None:
        error = None if outcome.cancelled() else outcome.exception()
        if isinstance(error, StreamError):
            self._give(number, Reply("error", {"reason": error.code}))
        elif error is None and not outcome.cancelled() and not outcome.result():
            self._give(number, Reply())  # nobody answers pushes here: it is published, that is all

    def _answered(self, arrivals: Sequence[Arrival]) -> None:
        for arrival in arrivals:
            try:
                answer = msgspec.json.decode(arrival.payload.decode(), type=Answer)  # what is left undecoded is UTF-8 as well
            except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
                logger.warning("not an answer to a push on %s: %s", self._reply_to, error)
                continue
            self._give(answer.push, Reply(answer.status, answer.response))

    def _give(self, number: str, reply: Reply) -> None:
        answer = self._waiting.pop(number, None)
        if answer is not None and not answer.done():
            answer.set_result(reply)
