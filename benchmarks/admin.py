"""Pages of the admin with many rows: 10,000 connections with their subscriptions, and a million jobs.

"ms" is the median of five requests, in this process, with SQLite, after one that warms caches; "CPU ms" what of that was computed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from statistics import median
from typing import Any

from .stack import stack

CONNECTIONS, JOBS = 10_000, 1_000_000
PAGES = (
    "streaming/connection/",
    "streaming/connection/?q=user77",
    "streaming/connection/?o=6",
    "streaming/subscription/",
    "streaming/subscription/?q=layer:3",
    "streaming/node/",
    "processes/job/",
    "processes/job/?status__exact=failed",
    "processes/job/?process_identifier=buffer",
    "processes/job/?q=buffer",
    "processes/job/?q=admin",
    "processes/job/?p=100",
)
_NUMBERS = "WITH RECURSIVE numbers(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM numbers WHERE n < %s - 1)"
_JOB = {
    "id": "lower(hex(randomblob(16)))",
    "process_identifier": "CASE n % 3 WHEN 0 THEN 'buffer' WHEN 1 THEN 'hotspots' ELSE 'rare' END",
    "hidden": "0",
    "status": "CASE WHEN n % 10 = 0 THEN 'failed' ELSE 'successful' END",
    "message": "''",
    "progress": "100",
    "revision": "3",
    "created": "datetime('2026-01-01', '+' || n || ' seconds')",
    "updated": "datetime('2026-01-01', '+' || n || ' seconds')",
    "finished": "datetime('2026-01-01', '+' || n || ' seconds')",
    "priority": "0",
    "turn": "n",
    "attempt": "1",
    "owner_id": "CASE WHEN n % 1000 = 0 THEN 1 END",
}


def run(share: float) -> Iterator[dict[str, Any]]:
    """One row a page; `share` of the rows."""
    with stack(GEOSTREAM_RECORD_SECONDS="0"):
        from django.conf import settings
        from django.contrib.auth import get_user_model
        from django.test import Client

        from streaming.operators.connection_list import Wanted, listed

        settings.ALLOWED_HOSTS = ["testserver"]
        _fill(int(CONNECTIONS * share), int(JOBS * share))
        client = Client()
        client.force_login(get_user_model()._default_manager.get(pk=1))
        for page in PAGES:
            yield {"page": f"/admin/{page}", **_measured(partial(_get, client, f"/admin/{page}"))}
        for wanted in (Wanted(), Wanted(find="user77"), Wanted(find="layer:3"), Wanted(order="queue"), Wanted(page=100)):
            yield {"page": f"Connections, {wanted}", **_measured(partial(listed, wanted))}


def _get(client: Any, path: str) -> None:
    assert client.get(path).status_code == 200


def _measured(request: Callable[[], object]) -> dict[str, float]:
    request()
    taken, used = [], []
    for _ in range(5):
        began, cpu = time.perf_counter(), time.process_time()
        request()
        taken.append(time.perf_counter() - began)
        used.append(time.process_time() - cpu)
    return {"ms": round(median(taken) * 1000, 1), "CPU ms": round(median(used) * 1000, 1)}


def _fill(connections: int, jobs: int) -> None:
    from django.db import connection as database

    from processes.models import Process
    from streaming.models import Connection, Node, Subscription

    now = datetime.now(UTC)
    nodes = [Node.objects.create(id=f"n{number}", host="earth", pid=number, started=now, seen=now) for number in range(4)]
    names = [f"n.{number}" for number in range(connections)]
    Connection.objects.bulk_create(
        [
            Connection(id=name, node=nodes[number % 4], dialect="geo", user=f"user{number}", address="192.0.2.1", since=now)
            for number, name in enumerate(names)
        ],
        1000,
    )
    Subscription.objects.bulk_create(
        [
            Subscription(
                **{"id": f"{name}/{each}", "connection_id": name, "subscription_id": str(each), "kind": "features"},
                **{"feed": f"layer:{number % 50}", "since": now, "west": 1.0, "south": 2.0, "east": 3.0, "north": 4.0},
            )
            for number, name in enumerate(names)
            for each in range(2)
        ],
        1000,
    )
    for name in ("buffer", "hotspots", "rare"):
        Process.objects.create(identifier=name, version="1", digest=name, description={}, current=False)
    with database.cursor() as cursor:
        columns = ", ".join(_JOB)
        values = ", ".join(_JOB.values()).replace("%", "%%")
        cursor.execute(f"{_NUMBERS} INSERT INTO processes_job ({columns}) SELECT {values} FROM numbers", [jobs])
        cursor.execute("ANALYZE")
