"""The list of connections, with thousands of them: how it asks the database does not depend on how many there are."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection as database
from django.test.utils import CaptureQueriesContext

from streaming.models import Connection, Node, Subscription
from streaming.operators.connection_list import MOST_BOXES, PAGE, Wanted, listed

NOW = datetime(2026, 1, 1, tzinfo=UTC)
MANY = 2000


@pytest.fixture
def many(db: None) -> None:
    """Connections of two nodes, one in ten with a box."""
    nodes = [Node.objects.create(id=f"n{number}", host="earth", pid=number, started=NOW, seen=NOW) for number in range(2)]
    Connection.objects.bulk_create(
        Connection(
            id=f"n.{number}",
            node=nodes[number % 2],
            dialect="geo" if number % 2 else "phoenix",
            user=f"user{number}",
            address="192.0.2.1",
            since=NOW + timedelta(seconds=number),
            queue_bytes=number % 7,
        )
        for number in range(MANY)
    )
    Subscription.objects.bulk_create(
        Subscription(
            id=f"n.{number}/s",
            connection_id=f"n.{number}",
            subscription_id="s",
            kind="features",
            feed="layer:rare" if number == 77 else "layer:ships",
            since=NOW,
            lag=3,
            dropped=number,
            **({"west": 1.0, "south": 2.0, "east": 3.0, "north": 4.0} if number % 2 else {}),
        )
        for number in range(MANY)
    )


def plan(query: str) -> str:
    with database.cursor() as cursor:
        cursor.execute(("EXPLAIN QUERY PLAN " if database.vendor == "sqlite" else "EXPLAIN ") + query)
        return "\n".join(str(row) for row in cursor.fetchall())


def test_a_page_takes_a_handful_of_queries(many: None) -> None:
    with CaptureQueriesContext(
        database,
    ) as queries:
        found = listed(Wanted())
    assert len(queries) <= 6
    assert (found["count"], found["pages"], len(found["rows"])) == (MANY, MANY // PAGE, PAGE)
    assert (len(found["boxes"]), found["more_boxes"]) == (MOST_BOXES, True)
    assert found["rows"][0]["id"] == f"n.{MANY - 1}"
    assert (found["rows"][0]["lag"], found["rows"][0]["dropped"], found["rows"][0]["subscription_count"]) == (3, MANY - 1, 1)


def test_the_newest_are_found_by_an_index(many: None) -> None:
    if database.vendor != "sqlite":
        pytest.skip("PostgreSQL chooses by how many rows there are")
    with CaptureQueriesContext(database) as queries:
        listed(Wanted())
    [page] = [each["sql"] for each in queries if each["sql"].endswith("LIMIT 50")]
    found = plan(page)
    assert "USING INDEX streaming_connection_since" in found
    assert "USE TEMP B-TREE FOR ORDER BY" not in found


@pytest.mark.parametrize(
    ("wanted", "count"),
    [
        ({"find": "user1999"}, 1),
        ({"find": "rare"}, 1),
        ({"find": "192.0.2"}, MANY),
        ({"dialect": "geo"}, MANY // 2),
        ({"node": "n1"}, MANY // 2),
        ({"find": "nothing"}, 0),
    ],
)
def test_it_is_searched_and_filtered(many: None, wanted: Any, count: int) -> None:
    found = listed(Wanted(**wanted))
    assert (found["count"], len(found["rows"])) == (count, min(count, PAGE))


def test_a_page_that_is_not_there_any_more_is_the_last_one(many: None) -> None:
    assert listed(Wanted(page=10_000))["page"] == MANY // PAGE - 1
