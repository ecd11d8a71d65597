"""The plan of a sync: what is done in which order, what a mode allows, and when it stops instead."""

from __future__ import annotations

import pytest

from streaming.client.sync.errors import SafetyStop
from streaming.client.sync.plan import Content, Mode, Plan, check_safety, make_plan
from streaming.client.sync.rounds import is_below_any

FOLDER = Content("", is_directory=True)


def file(content: str, size: int = 1) -> Content:
    return Content(content * 64, size)


def steps(plan: Plan) -> list[tuple[str, str]]:
    return [(step.action, step.path) for step in plan.steps]


def test_folders_come_before_what_is_in_them_and_go_after_it() -> None:
    plan = make_plan({"old": "", "old/x": "a" * 64}, {"new": FOLDER, "new/y": file("b")}, {"old": FOLDER, "old/x": file("a")})
    assert steps(plan) == [("upload", "new"), ("upload", "new/y"), ("delete_remote", "old/x"), ("delete_remote", "old")]


def test_small_files_are_transferred_first() -> None:
    plan = make_plan({}, {"large": file("a", 900), "small": file("b", 1)}, {"middle": file("c", 30)})
    assert [step.path for step in plan.transfers] == ["small", "middle", "large"]


def test_what_both_have_already_is_only_remembered() -> None:
    plan = make_plan({"gone": "c" * 64}, {"x": file("a")}, {"x": file("a")})
    assert steps(plan) == [] and list(plan.adopt) == ["x"] and plan.forget == ["gone"]


BASE = {name: name * 64 for name in "abc"}
LOCAL = {"a": file("1"), "c": file("c"), "new": file("n")}  # a was changed, b was deleted
REMOTE = {"a": file("2"), "b": file("b"), "here": file("h")}  # a was changed too, c was deleted


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        (Mode.TWO_WAY, {"a": "conflict", "b": "delete_remote", "c": "delete_local", "new": "upload", "here": "download"}),
        (Mode.PUSH, {"a": "conflict", "b": "delete_remote", "new": "upload"}),
        (Mode.PULL, {"a": "conflict", "c": "delete_local", "here": "download"}),
        (Mode.MIRROR, {"a": "download", "b": "download", "c": "delete_local", "new": "delete_local", "here": "download"}),
    ],
)
def test_a_mode_says_which_side_may_change(mode: Mode, expected: dict[str, str]) -> None:
    plan = make_plan(BASE, LOCAL, REMOTE, mode=mode)
    assert {step.path: step.action for step in plan.steps} == expected


def many(count: int) -> dict[str, Content]:
    return {f"f{number}": file("a") for number in range(count)}


@pytest.mark.parametrize(("local", "remote", "word"), [({}, many(3), "local folder is empty"), (many(3), {}, "server's folder is empty")])
def test_an_empty_side_stops_everything(local: dict[str, Content], remote: dict[str, Content], word: str) -> None:
    base = dict.fromkeys(many(3), "a" * 64)
    with pytest.raises(SafetyStop, match=word):
        check_safety(make_plan(base, local, remote), base, local, remote)


@pytest.mark.parametrize(("files", "left", "stops"), [(30, 14, True), (30, 15, False), (12, 2, False), (12, 1, True)])
def test_more_than_half_and_more_than_ten_deletions_stop(files: int, left: int, stops: bool) -> None:
    base = dict.fromkeys(many(files), "a" * 64)
    plan = make_plan(base, many(left), many(files))
    if not stops:
        check_safety(plan, base, many(left), many(files))
        return
    with pytest.raises(SafetyStop, match=f"{files - left} of {files} files would be deleted on the server"):
        check_safety(plan, base, many(left), many(files))
    check_safety(plan, base, many(left), many(files), most_deleted=files)


def test_what_a_round_is_about() -> None:
    found = [path for path in ("a", "a/b", "a/b/c/d", "a/bc", "c", "c/x", "cc") if is_below_any(path, {"a/b", "c"})]
    assert found == ["a/b", "a/b/c/d", "c", "c/x"]
