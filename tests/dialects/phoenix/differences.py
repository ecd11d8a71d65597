"""Where this server does otherwise than the recorded ones, on purpose: once here, with the reason.

`ours` rewrites a recorded session into what has to happen here.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from .peer import encoded

Event = dict[str, Any]


@dataclass
class Past:
    """What was recorded before an event, and what follows it."""

    joined: dict[tuple[str, Any], Any] = field(default_factory=dict)
    """Connection and topic to the reference of the join."""
    asked: dict[tuple[str, Any], Any] = field(default_factory=dict)
    """Of joins that have not been answered: connection and reference, and how the client will call it."""
    topics: set[str] = field(default_factory=set)
    admin: str = ""
    following: list[Event] = field(default_factory=list)

    def note(self, event: Event) -> None:
        """Remember joins and leaves."""
        if event.get("hub_publishes") == "to:admin:channel.remove":
            self.topics.discard(json.loads(event["payload"])["channel"])
        if "open" in event:
            self.joined = {key: value for key, value in self.joined.items() if key[0] != event["c"]}
        for frame, sent in frames(event):
            join_ref, ref, topic, name, payload = frame
            if sent and name == "phx_leave" and join_ref in (None, self.joined.get((event["c"], topic))):
                self.joined.pop((event["c"], topic), None)
            elif sent and name == "phx_join":
                version_2 = event["send"].startswith("[")
                self.asked[event["c"], ref] = ref if join_ref is None and version_2 else join_ref
            elif not sent and name == "phx_reply" and payload["status"] == "ok" and (event["c"], ref) in self.asked:
                self.joined[event["c"], topic] = self.asked.pop((event["c"], ref))
                self.admin = event["c"] if topic == "admin" else self.admin


Change = Callable[[Event, Past], list[Event] | None]
"""What is to happen instead of an event; None if it stays as it was recorded."""


def frames(event: Event) -> Iterator[tuple[list[Any], bool]]:
    """The frame of an event as version 2 writes it, and whether a client sent it. Nothing for other events."""
    for key in ("send", "recv"):
        if key not in event:
            continue
        try:
            found = json.loads(event[key])
        except ValueError:
            return
        if isinstance(found, dict) and {"topic", "event", "payload", "ref"} <= found.keys():
            yield [found.get("join_ref"), found["ref"], found["topic"], found["event"], found["payload"]], key == "send"
        elif isinstance(found, list) and len(found) >= 5:
            yield found[:5], key == "send"


def received(event: Event, *frame: Any) -> Event:
    return {"c": event["c"], "recv": json.dumps(frame)}


def ok(event: Event, join_ref: Any, ref: Any, topic: Any) -> Event:
    return received(event, join_ref, ref, topic, "phx_reply", {"status": "ok", "response": {}})


def unmatched(event: Event, ref: Any, topic: Any) -> Event:
    return received(event, None, ref, topic, "phx_reply", {"status": "error", "response": {"reason": "unmatched topic"}})


# -- Phoenix -----------------------------------------------------------------


def _taken_as_current(event: Event, past: Past) -> list[Event] | None:
    """A push or leave without join_ref; in version 1 they never have one."""
    for (join_ref, ref, topic, name, _), sent in frames(event):
        current = past.joined.get((event["c"], topic))
        answered = any(frame[1] == ref for after in past.following[:2] for frame, sent in frames(after) if not sent)
        if not sent or join_ref is not None or current is None or answered or name == "phx_join":
            continue
        if event["send"].startswith("{"):
            return [event, {"c": event["c"], "recv": json.dumps({"topic": topic, "event": "phx_error", "payload": CRASH, "ref": current})}]
        closing = [received(event, current, current, topic, "phx_close", {})] if name == "phx_leave" else []
        return [event, ok(event, current, ref, topic), *closing]
    return None


CRASH = {"reason": "channel_crash"}
_BINARY_WITHOUT_JOIN_REF = encoded("", "4", "room:1", "echo", b"x").hex()


def _binary_taken_as_current(event: Event, past: Past) -> list[Event] | None:
    if event.get("send_hex") != _BINARY_WITHOUT_JOIN_REF:
        return None
    return [event, {"c": event["c"], "recv_hex": "01010106023134726f6f6d3a316f6b78"}]


# -- Tangram -----------------------------------------------------------------


def _not_published(ending: str) -> Change:
    def change(event: Event, past: Past) -> list[Event] | None:
        return [] if event.get("hub_publishes", "").endswith(ending) else None

    return change


def _leave_is_complete(event: Event, past: Past) -> list[Event] | None:
    for (join_ref, ref, topic, name, payload), sent in frames(event):
        if not sent and name == "phx_reply" and join_ref != ref and "id" in payload["response"]:
            return [ok(event, join_ref, ref, topic), received(event, join_ref, join_ref, topic, "phx_close", {})]
    return None


def _push_is_answered(event: Event, past: Past) -> list[Event] | None:
    for (join_ref, ref, topic, name, _), sent in frames(event):
        if sent and not name.startswith("phx_") and join_ref is not None and past.joined.get((event["c"], topic)) == join_ref:
            return [event, ok(event, join_ref, ref, topic)]
    return None


def _binary_push_is_answered(event: Event, past: Past) -> list[Event] | None:
    data = bytes.fromhex(event.get("send_hex", ""))
    if data[1:2] != b"\1":
        return None
    ref = data[6 : 6 + data[2]].decode()
    return [event, ok(event, "1", ref, "system")]


def _push_elsewhere_is_refused(event: Event, past: Past) -> list[Event] | None:
    if event.get("send_hex", "").startswith("000000"):
        return [event, unmatched(event, None, "nowhere")]
    for (_, ref, topic, name, _), sent in frames(event):
        if sent and topic != "phoenix" and not name.startswith("phx_") and (event["c"], topic) not in past.joined:
            return [event, unmatched(event, ref, topic)]
    return None


def _nothing_from_elsewhere(event: Event, past: Past) -> list[Event] | None:
    return [] if event.get("hub_publishes", "").startswith(("from:other:", "from:nowhere:")) else None


def _lists_for_the_admin(event: Event, past: Past) -> list[Event] | None:
    if event.get("hub_publishes") != "to:admin:channel.list":
        return None
    return [{"c": past.admin, "recv": json.dumps(["1", None, "admin", "channel.list", json.loads(event["payload"])])}]


def _added_once(event: Event, past: Past) -> list[Event] | None:
    if event.get("hub_publishes") != "to:admin:channel.add":
        return None
    channel = json.loads(event["payload"])["channel"]
    known = channel in past.topics
    past.topics.add(channel)
    return [] if known else None


def _nested_topic(event: Event, past: Past) -> list[Event] | None:
    for (_, _, topic, _, _), sent in frames(event):
        if not sent and topic == "system:a":
            return []
    return None


def _numbers_as_they_are(event: Event, past: Past) -> list[Event] | None:
    if "1.2345678901234568e+29" not in event.get("recv", ""):
        return None
    return [{**event, "recv": event["recv"].replace("1.2345678901234568e+29", "123456789012345678901234567890")}]


@dataclass(frozen=True)
class Difference:
    """One thing that is done otherwise."""

    why: str
    change: Change


PHOENIX = [
    Difference("a push or leave without join_ref is one of the current join, as from Phoenix 1.9 on", _taken_as_current),
    Difference("the same in binary, where there is no other way to leave it out", _binary_taken_as_current),
]

TANGRAM = [
    Difference("presence is a feed that other processes follow; it is not said on the bridge", _not_published(":presence_diff")),
    Difference("join payloads have tokens in them, which never get to Redis", _not_published(":phx_join")),
    Difference("backends hear of leaves only with GEOSTREAM_BRIDGE_JOINS", _not_published(":phx_leave")),
    Difference("heartbeats are between a client and its server", _not_published("from:phoenix:heartbeat")),
    Difference("nobody says something on a topic without having joined it", _push_elsewhere_is_refused),
    Difference("and so nothing of it gets to Redis", _nothing_from_elsewhere),
    Difference("a push is answered, or clients wait for ten seconds", _push_is_answered),
    Difference("binary pushes too", _binary_push_is_answered),
    Difference("after a leave comes phx_close, as from Phoenix", _leave_is_complete),
    Difference("channel.list is for the admin who has joined, not for all of them", _lists_for_the_admin),
    Difference("a channel is added once, not with every join", _added_once),
    Difference("`to:system:a:b` is for the topic `system:a` alone", _nested_topic),
    Difference("payloads are not written anew: numbers keep their digits", _numbers_as_they_are),
]

UNTIL = {
    "join_bad_token": ('{"token": "garbage"}', "join-bad-token"),
    "join_other_token": ('"admin", "phx_join"', "join-wrong-channel-claim"),
    "push_up": ('{"message":"Hello","extra":1}', "push-bytes-unchanged"),
    "push_unjoined": ('"system", "evil"', "push-not-joined"),
    "leave": ('["1", "3", "system", "phx_leave"', "leave-not-joined"),
    "dup_join": ('["2", "2", "system", "phx_join"', "duplicate-join"),
    "glob_topics": ('"*", "phx_join"', "glob-topic"),
}
"""Sessions of Tangram of which only the beginning is played, up to this frame, and the requirement that says what comes instead."""


def beginning(events: list[Event], end: str) -> list[Event]:
    """The events before the frame that contains `end`."""
    return events[: next(index for index, event in enumerate(events) if end in event.get("send", ""))]


def ours(events: list[Event], table: list[Difference], used: set[str]) -> list[Event]:
    """What has to happen here; the reasons of the differences found are added to `used`."""
    past, found = Past(), []
    for index, event in enumerate(events):
        past.following = events[index + 1 :]
        for difference in table:
            changed = difference.change(event, past)
            if changed is not None:
                assert changed != [event]
                used.add(difference.why)
                found += changed
                break
        else:
            place = len(found)
            while "closed" in event and "presence_diff" in found[place - 1].get("recv", "") and found[place - 1]["c"] != event["c"]:
                place -= 1  # that somebody left was noted before the end of their connection
            found.insert(place, event)
        past.note(event)
    return found
