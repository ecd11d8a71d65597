"""What members are told of each other: a state that they are in, then every change, once and in order."""

from __future__ import annotations

import time
from typing import Any

import pytest

from streaming.core.errors import StreamError
from streaming.core.redis import sync_redis

from .presence_scene import TOPIC, Client, Process, Told, feed_of, known, refs, settled, until


async def joined(process: Process, key: str, **meta: Any) -> Client:
    client = process.join(key, **meta)
    await until(lambda: "presence_diff" in client.events)
    return client


async def test_the_state_comes_first_and_holds_the_joiner_then_its_own_diff(here: Process) -> None:
    before = int(time.time())
    alice = await joined(here, "alice", device="phone")
    meta = alice.told[0].payload["alice"]["metas"][0]
    assert before <= meta["online_at"] <= time.time()
    assert meta == {"device": "phone", "online_at": meta["online_at"], "phx_ref": alice.member.id}
    assert alice.told == [
        Told("presence_state", {"alice": {"metas": [meta]}}, True),
        Told("presence_diff", {"joins": {"alice": {"metas": [meta]}}, "leaves": {}}, False),
    ]


async def test_members_of_two_processes_see_each_other(here: Process, there: Process) -> None:
    alice = await joined(here, "alice")
    bob = await joined(there, "bob")
    assert set(bob.told[0].payload) == {"alice", "bob"}
    await until(lambda: set(alice.picture) == {"alice", "bob"})
    assert refs(alice.picture) == refs(bob.picture)


async def test_a_key_has_one_meta_for_each_device(here: Process, there: Process) -> None:
    phone, desk = await joined(here, "alice"), await joined(there, "alice")
    await until(lambda: len(phone.picture["alice"]) == 2)
    assert refs(desk.picture) == {"alice": sorted([phone.member.id, desk.member.id])}
    desk.leave()
    await until(lambda: refs(phone.picture) == {"alice": [phone.member.id]})
    assert list(phone.heard("presence_diff")[-1]["leaves"]) == ["alice"]


async def test_an_update_is_a_join_and_a_leave_in_one_diff(here: Process, there: Process) -> None:
    alice, bob = await joined(here, "alice", status="here"), await joined(there, "bob")
    await settled(here, there)
    told = len(bob.told)
    alice.update(status="away")
    await until(lambda: len(bob.told) > told)
    diff = bob.told[-1].payload
    assert diff["leaves"]["alice"]["metas"][0]["status"] == "here"
    meta = diff["joins"]["alice"]["metas"][0]
    assert meta["phx_ref_prev"] == alice.member.id != meta["phx_ref"]
    assert meta["online_at"] == diff["leaves"]["alice"]["metas"][0]["online_at"]
    assert [entry["status"] for entry in bob.picture["alice"]] == ["away"]


async def test_updates_in_one_batch_are_told_once_and_replace_what_was_shown(by_hand: Process) -> None:
    alice, bob = by_hand.join("alice"), by_hand.join("bob")
    await settled(by_hand)
    told = len(bob.told)
    for step in range(5):
        alice.update(step=step)
        await known(by_hand)
    assert len(bob.told) == told
    await settled(by_hand)
    assert len(bob.told) == told + 1
    meta = bob.told[-1].payload["joins"]["alice"]["metas"][0]
    assert (meta["step"], meta["phx_ref_prev"]) == (4, alice.member.id)


async def test_an_update_before_the_own_diff_leaves_one_meta(by_hand: Process) -> None:
    alice = by_hand.join("alice", status="here")
    await known(by_hand)
    assert alice.events == ["presence_state"]
    alice.update(status="away")
    await settled(by_hand)
    assert [meta["status"] for meta in alice.picture["alice"]] == ["away"]


async def test_who_was_only_in_the_state_is_told_to_leave_it(by_hand: Process) -> None:
    passing, staying = by_hand.join("passing"), by_hand.join("staying")
    await known(by_hand)
    assert staying.events == ["presence_state"]
    assert set(staying.picture) == {"passing", "staying"}
    passing.leave()
    await settled(by_hand)
    assert set(staying.picture) == {"staying"}


async def test_who_comes_and_goes_within_a_batch_is_not_mentioned(by_hand: Process) -> None:
    alice = by_hand.join("alice")
    await settled(by_hand)
    told = len(alice.told)
    passing = by_hand.join("passing")
    await known(by_hand)
    assert "presence_state" in passing.events
    passing.leave()
    await settled(by_hand)
    assert len(alice.told) == told


async def test_who_leaves_before_being_written_is_never_written(here: Process) -> None:
    passing = here.join("passing")
    passing.leave()
    await settled(here)
    assert sync_redis().keys("*presence*") == []


async def test_who_leaves_while_being_written_does_not_stay(here: Process) -> None:
    passing = here.join("passing")
    await until(lambda: here.presence.tracked[passing.member.id].sent)
    passing.leave()
    await settled(here)
    assert await here.presence.count(TOPIC) == 0


async def test_an_empty_topic_leaves_nothing_for_good(here: Process) -> None:
    alice = await joined(here, "alice")
    assert await here.presence.topics() == [TOPIC]
    alice.leave()
    await settled(here)
    assert await here.presence.topics() == []
    for key in sync_redis().keys("*presence*"):
        assert 0 < sync_redis().ttl(key) <= 600, key


async def test_a_topic_that_is_joined_again_does_not_expire(here: Process) -> None:
    (await joined(here, "alice")).leave()
    await settled(here)
    await joined(here, "bob")
    assert [sync_redis().ttl(key) for key in feed_of().keys[:3]] == [-1, -1, -1]


async def test_a_joiner_of_a_followed_topic_is_told_at_once(here: Process) -> None:
    await joined(here, "alice")
    started = time.monotonic()
    bob = here.join("bob")
    await until(lambda: bob.told)
    assert time.monotonic() - started < 0.5


async def test_many_joins_in_one_batch_are_one_state_and_one_diff(by_hand: Process) -> None:
    alice = by_hand.join("alice")
    await settled(by_hand)
    told, encoded = len(alice.told), by_hand.encoder.broadcasts
    others = [by_hand.join(f"user {n}") for n in range(300)]
    await settled(by_hand)
    assert [other.events for other in others] == [["presence_state", "presence_diff"]] * 300
    assert len(alice.told) == told + 1
    assert by_hand.encoder.broadcasts == encoded + 1
    assert alice.picture == others[7].picture
    assert len(alice.picture) == 301


async def test_who_is_not_shown_any_more_is_still_told_of_the_others(here: Process) -> None:
    alice, bob = await joined(here, "alice"), await joined(here, "bob")
    here.presence.leave(bob.member)
    await until(lambda: set(alice.picture) == set(bob.picture) == {"alice"})
    alice.update(status="away")
    await until(lambda: bob.picture["alice"][0].get("status") == "away")


async def test_who_is_shown_again_has_a_new_ref(here: Process) -> None:
    alice, bob = await joined(here, "alice"), await joined(here, "bob")
    here.presence.leave(bob.member)
    here.presence.join(bob.member, "bob", {"again": True})
    await until(lambda: alice.picture["bob"][-1].get("again"))
    assert len(alice.picture["bob"]) == 1
    assert alice.picture["bob"][0]["phx_ref"] != bob.member.id


async def test_who_joins_under_another_key_moves(here: Process) -> None:
    alice, bob = await joined(here, "alice"), await joined(here, "bob")
    here.presence.join(bob.member, "robert", {})
    await until(lambda: set(alice.picture) == {"alice", "robert"})
    assert "phx_ref_prev" not in alice.picture["robert"][0]


async def test_topics_are_apart(here: Process) -> None:
    alice = await joined(here, "alice")
    here.join("bob", topic="room:10")
    await settled(here)
    assert set(alice.picture) == {"alice"}
    assert await here.presence.topics() == [TOPIC, "room:10"]


async def test_who_is_there_can_be_asked_from_anywhere(here: Process, there: Process) -> None:
    alice = await joined(here, "alice", status="here")
    assert await there.presence.count(TOPIC) == 1
    assert await there.presence.members(TOPIC) == {"alice": alice.told[0].payload["alice"]["metas"]}
    assert await there.presence.members("room:none") == {}


async def test_arrivals_and_departures_are_reported_with_who_is_there(here: Process) -> None:
    reported: list[Any] = []
    here.presence.on_joined = lambda *what: reported.append(("joined", *what))
    here.presence.on_left = lambda *what: reported.append(("left", *what))
    alice = await joined(here, "alice")
    alice.update(status="away")
    bob = await joined(here, "bob")
    alice.leave()
    await settled(here)
    first, second = alice.member.id, bob.member.id
    reported[1][-1].sort()
    assert reported == [
        ("joined", TOPIC, first, "alice", 1, [first]),
        ("joined", TOPIC, second, "bob", 2, sorted([first, second])),
        ("left", TOPIC, first, "alice", 1, [second]),
    ]


async def test_a_report_that_fails_keeps_nobody_from_being_shown(here: Process, caplog: pytest.LogCaptureFixture) -> None:
    def failing(*what: Any) -> None:
        raise ValueError("broken")

    here.presence.on_joined = failing
    await joined(here, "alice")
    assert "could not be reported" in caplog.text


@pytest.mark.parametrize("key", ["__proto__", "constructor", "😀", "", "a:b{c}", "k" * 255, '"\\\n'])
async def test_any_text_is_a_key(here: Process, key: str) -> None:
    alice = await joined(here, key, **{"__proto__": {"x": "é"}})
    assert list(alice.picture) == [key]
    assert alice.picture[key][0]["__proto__"] == {"x": "é"}
    assert set(await here.presence.members(TOPIC)) == {key}


async def test_refs_are_ours(here: Process) -> None:
    alice = await joined(here, "alice", phx_ref="mine", phx_ref_prev="forged")
    assert alice.picture["alice"][0]["phx_ref"] == alice.member.id
    assert "phx_ref_prev" not in alice.picture["alice"][0]


@pytest.mark.parametrize(
    ("key", "meta", "code"),
    [
        ("é" * 128, {}, "too_large"),
        ("\ud800", {}, "bad_request"),
        ("k", {"text": "x" * 4096}, "too_large"),
        ("k", {"text": "\ud800"}, "bad_request"),
        ("k", {"number": float("nan")}, "bad_request"),
        ("k", {"object": object()}, "bad_request"),
        ("k", {1: 2}, "bad_request"),
    ],
)
async def test_what_cannot_be_shown_is_refused(here: Process, key: str, meta: Any, code: str) -> None:
    alice = here.enter()
    with pytest.raises(StreamError) as refused:
        here.presence.join(alice.member, key, meta)
    assert refused.value.code == code
    assert not here.presence.tracked


async def test_an_update_that_cannot_be_shown_changes_nothing(here: Process) -> None:
    alice = await joined(here, "alice", status="here")
    with pytest.raises(StreamError):
        alice.update(text="x" * 4096)
    assert (await here.presence.members(TOPIC))["alice"][0]["status"] == "here"
