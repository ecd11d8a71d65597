"""What users, limited tokens and anybody may do."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured

from streaming.core.errors import StreamError
from streaming.files.folder import Folder
from streaming.files.rights import READING, Rights, anonymous_rights, token_rights

from .http_peer import HttpPeer

MakeUser = Callable[..., Awaitable[HttpPeer]]


async def statuses(peer: HttpPeer, directory: str) -> dict[str, int]:
    """Of one request for each right."""
    return {
        "list": (await peer.get(f"/api/metadata?path={directory}/x.txt")).status,
        "read": (await peer.get(f"/api/download?path={directory}/x.txt")).status,
        "write": (await peer.put(f"{directory}/new.txt", b"new")).status,
        "delete": (await peer.request("DELETE", f"/api/delete?path={directory}/x.txt")).status,
    }


@pytest.fixture
async def stored(http: HttpPeer, settings: Any) -> None:
    await http.put("maps/x.txt", b"x")
    await http.put("other/x.txt", b"x")
    settings.GEOSTREAM_FILES_ANONYMOUS = ""


@pytest.mark.parametrize("right", ["list", "read", "write", "delete"])
async def test_a_user_may_do_what_the_permissions_say(right: str, stored: None, user_with: MakeUser) -> None:
    found = await statuses(await user_with(right), "maps")
    assert {name for name, status in found.items() if status < 300} == {right}
    assert {status for status in found.values() if status >= 300} == {403}


async def test_nobody_may_do_anything_by_default(stored: None) -> None:
    peer = HttpPeer()
    assert set((await statuses(peer, "maps")).values()) == {401}
    answer = await peer.get("/api/list")
    assert (answer.status, answer.headers["www-authenticate"]) == (401, 'Bearer realm="api"')


async def test_what_anybody_may_do_is_a_setting(stored: None, settings: Any) -> None:
    settings.GEOSTREAM_FILES_ANONYMOUS = "maps=list read, drop=write"
    assert await statuses(HttpPeer(), "maps") == {"list": 200, "read": 200, "write": 401, "delete": 401}
    assert (await HttpPeer().put("drop/x.txt", b"x")).status == 201
    assert [each["path"] for each in (await HttpPeer().get("/api/list")).json()] == ["maps", "maps/x.txt"]


async def test_everybody_is_told_what_they_may_do(stored: None, settings: Any, user_with: MakeUser) -> None:
    assert (await HttpPeer().get("/api/rights")).json()["rights"] == {}
    settings.GEOSTREAM_FILES_ANONYMOUS = "maps=list, maps=read"
    nobody = (await HttpPeer().get("/api/files/rights")).json()
    assert (nobody["user"], nobody["rights"]) == (None, {"maps": "list read"})
    user = (await (await user_with("write")).get("/api/rights")).json()
    assert (user["user"], user["rights"]) == ("user0", {"": "write", "maps": "list read"})


async def test_a_limited_token_narrows_the_users_rights(stored: None, user_with: MakeUser) -> None:
    peer = await user_with("list", "read", "write", limits={"files": {"maps": "list read delete"}})
    assert await statuses(peer, "maps") == {"list": 200, "read": 200, "write": 403, "delete": 403}
    assert set((await statuses(peer, "other")).values()) == {403}
    assert [each["path"] for each in (await peer.get("/api/list")).json()] == ["maps", "maps/x.txt"]


async def test_a_limited_token_opens_nothing_else(stored: None, user_with: MakeUser) -> None:
    peer = await user_with("list", limits={"files": {"": "list"}})
    assert (await peer.get("/api/list")).status == 200
    assert (await peer.get("/api/layers/")).status == 403
    assert (await peer.post("/api/ticket/", {})).status == 403
    other = await user_with("list", limits={"processes": {}})
    assert (await other.get("/api/list")).status == 403


@pytest.mark.parametrize("limits", [{"": "everything"}, {"../x": "read"}, ["maps"], {"maps": ""}])
async def test_limits_that_cannot_be_read_are_refused(limits: Any, stored: None, user_with: MakeUser) -> None:
    answer = await (await user_with("list", limits={"files": limits})).get("/api/list")
    assert (answer.status, answer.code) == (401, "token_invalid")


async def test_a_move_needs_rights_at_both_ends(stored: None, user_with: MakeUser) -> None:
    limits = {"maps": "list read delete", "other": "list read write"}
    peer = await user_with("list", "read", "write", "delete", limits={"files": limits})
    assert (await peer.post("/api/rename", {"from": "other/x.txt", "to": "maps/y.txt"})).status == 403
    assert (await peer.post("/api/rename", {"from": "maps/x.txt", "to": "other/y.txt"})).status == 200


async def test_a_forged_token_is_refused(folder: Folder) -> None:
    peer = HttpPeer({"authorization": "Bearer eyJhbGciOiJub25lIn0.e30."})
    assert (await peer.get("/api/list")).status == 401
    assert (await HttpPeer({"authorization": "Basic YTpi"}).get("/api/list")).status == 401


def test_rights_are_narrowed_from_both_sides() -> None:
    wide = Rights((("", frozenset({"list", "read"})), ("a", frozenset({"write"}))))
    narrow = Rights((("a/b", frozenset({"read", "write"})), ("c", frozenset({"delete"}))))
    both = wide.narrowed(narrow)
    assert both.allows("read", "a/b/x") and both.allows("write", "a/b/x")
    assert not both.allows("list", "a/b/x") and not both.allows("write", "a/x") and not both.allows("delete", "c/x")
    assert both.tops("write") == ("a/b",) and wide.tops("list") is None
    assert wide.narrowed(READING).allows("read", "x") and not wide.narrowed(READING).allows_some("write")


def test_a_directory_is_not_the_beginning_of_a_name() -> None:
    rights = token_rights({"maps/": "read"})
    assert rights.allows("read", "maps") and rights.allows("read", "maps/x") and not rights.allows("read", "mapsx")


def test_a_setting_that_cannot_be_read(settings: Any) -> None:
    for text in ("maps", "maps=fly", "../x=read"):
        settings.GEOSTREAM_FILES_ANONYMOUS = text
        with pytest.raises(ImproperlyConfigured):
            anonymous_rights()
    with pytest.raises(StreamError):
        token_rights(7)
