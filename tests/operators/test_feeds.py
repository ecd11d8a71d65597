"""The page Feeds: figures of every feed, the lines of a log, and what lies behind a cursor."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client

from streaming.core import redis as connections
from streaming.core.errors import StreamError
from streaming.core.feed import Cursor, Feed
from streaming.features.events import publish_event
from streaming.features.publishing import delete, publish
from streaming.operators.feeds import MAX_VALUE_BYTES, feed_rows, find_feeds, lines_after, newest_lines, pretty
from tests.geo_peer import point

pytestmark = pytest.mark.usefixtures("redis", "transactional_db")


@pytest.fixture
def operator() -> Client:
    client, user = Client(), User.objects.create_user("olga", is_staff=True)
    user.user_permissions.add(Permission.objects.get(codename="operate_topics"))
    client.force_login(user)
    return client


def fleet() -> Cursor:
    """The layer `fleet` with four lines in its log; the cursor of its beginning."""
    publish("fleet", point("a", 1, 1))
    publish("fleet", [point("a", 2, 2), point("b", 3, 3)])
    delete("fleet", "b")
    return Cursor(Feed("layer:fleet").read_sync().cursor.epoch, 0)


def test_every_feed_is_found_with_its_figures() -> None:
    fleet()
    publish_event("custom", 1)
    names, complete = find_feeds()
    assert complete
    assert {"layer:fleet", "events"} <= {*names}
    (row,) = feed_rows(["layer:fleet"])
    assert (row.kind, row.seq, row.length, row.items) == ("layer", 4, 4, 1)
    assert row.bytes > 100


def test_a_search_finds_a_part_of_a_name() -> None:
    fleet()
    publish_event("custom", 1)
    assert find_feeds("FLE") == (["layer:fleet"], True)


def test_lines_say_what_happened_newest_first() -> None:
    fleet()
    assert [(line.seq, line.kind, line.key) for line in newest_lines("layer:fleet", None, 3)] == [
        (4, "deleted", '"b"'),
        (3, "added", '"b"'),
        (2, "updated", '"a"'),
    ]
    assert [line.seq for line in newest_lines("layer:fleet", 3, 10)] == [2, 1]


def test_a_long_value_is_cut() -> None:
    publish("long", point("a", 1, 1, text="x" * MAX_VALUE_BYTES))
    (line,) = newest_lines("layer:long", None, 1)
    assert line.new is not None and len(line.new) < MAX_VALUE_BYTES + 40 and line.new.endswith("bytes")


def test_what_is_behind_a_cursor_comes_oldest_first() -> None:
    start = fleet()
    assert [line.seq for line in lines_after("layer:fleet", Cursor(start.epoch, 2), 10)] == [3, 4]
    assert lines_after("layer:fleet", Cursor(start.epoch, 4), 10) == []


def test_a_cursor_of_another_life_is_refused() -> None:
    fleet()
    with pytest.raises(StreamError, match="created anew"):
        lines_after("layer:fleet", Cursor("another", 0), 10)


def test_a_cursor_behind_the_log_is_refused() -> None:
    start = fleet()
    connections.sync_redis().xtrim(Feed("layer:fleet").log_key, maxlen=2, approximate=False)
    with pytest.raises(StreamError, match=f"has what is behind {start.epoch}:2"):
        lines_after("layer:fleet", start, 10)


def test_the_pages_show_them(operator: Client) -> None:
    start = fleet()
    assert "layer:fleet" in operator.get("/admin/feeds/").content.decode()
    page = operator.get("/admin/feeds/feed/", {"name": "layer:fleet"}).content.decode()
    assert "deleted" in page and "&quot;b&quot;" in page
    answer = operator.get("/admin/feeds/log/", {"name": "layer:fleet", "after": str(start)}).json()
    assert [line["kind"] for line in answer["lines"]] == ["added", "updated", "added", "deleted"]
    assert answer["next"] is None


def test_they_are_for_operators_only() -> None:
    client = Client()
    client.force_login(User.objects.create_user("nobody", is_staff=True))
    for page in ("", "feed/?name=events", "log/?name=events&after=a:1"):
        assert client.get(f"/admin/feeds/{page}").status_code == 403


def test_they_say_so_while_redis_is_away(operator: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*args: Any) -> Any:
        raise StreamError("redis_unavailable", "Redis does not answer")

    monkeypatch.setattr("streaming.operators.feed_pages.find_feeds", away)
    monkeypatch.setattr("streaming.operators.feed_pages.feed_rows", away)
    for page in ("", "feed/?name=events"):
        assert "Redis does not answer" in operator.get(f"/admin/feeds/{page}").content.decode()


def test_a_value_that_is_nested_too_deeply_is_shown_as_it_is() -> None:
    text = "[" * 5000 + "]" * 5000
    assert pretty(text) == text


@pytest.mark.parametrize("name", ["layer:", "layer:a/../b"])
def test_a_name_that_no_layer_can_have_is_a_feed_without_lines(operator: Client, name: str) -> None:
    assert operator.get("/admin/feeds/feed/", {"name": name}).status_code == 200
