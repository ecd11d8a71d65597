"""The rows of the benchmark `admin`: a site that has been used for two weeks, with 10,000 clients connected now."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from django.contrib.auth import get_user_model
from django.db import connection as database

from processes.models import Process, Registration, Worker, WorkerToken
from streaming.models import Connection, Node, Presence, Subscription

_NUMBERS = "WITH RECURSIVE numbers(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM numbers WHERE n < %s - 1)"
_JOB = {
    "id": "{uuid}",
    "process_id": "CASE WHEN n % 10000 = 0 THEN {rare} WHEN n % 5 < 3 THEN {buffer} ELSE {hotspots} END",
    "process_identifier": "CASE WHEN n % 10000 = 0 THEN 'rare' WHEN n % 5 < 3 THEN 'buffer' ELSE 'hotspots' END",
    "hidden": "n % 1000 = 7",
    "status": "CASE WHEN n > {jobs} - 20 THEN 'running' WHEN n > {jobs} - 220 THEN 'accepted'"
    " WHEN n % 20 = 3 THEN 'failed' WHEN n % 5000 = 4 THEN 'dismissed' ELSE 'successful' END",
    "message": "'step ' || n % 100",
    "progress": "n % 101",
    "revision": "3",
    "created": "{created}",
    "started": "{created}",
    "updated": "{created}",
    "finished": "{created}",
    "priority": "0",
    "turn": "n",
    "attempt": "1",
    "owner_id": "CASE WHEN n % 3 = 0 THEN NULL WHEN n % 1000 = 1 THEN {admin} ELSE {first} + n % 100 END",
    "worker_id": "{worker} + n % {workers}",
}
_WORDS = {
    "sqlite": {"uuid": "lower(hex(randomblob(16)))", "created": "datetime('2026-01-01', '+' || n || ' seconds')"},
    "postgresql": {"uuid": "gen_random_uuid()", "created": "timestamptz '2026-01-01 00:00:00+00' + n * interval '1 second'"},
}


def fill(connections: int, jobs: int, workers: int) -> None:
    """Make them, in a database that has been migrated and has the user admin."""
    _monitoring(connections)
    names = {"jobs": jobs, "workers": workers, **_users(), **_workers(workers)}
    with database.cursor() as cursor:
        values = ", ".join(_JOB.values()).format(**names, **_WORDS[database.vendor]).replace("%", "%%")
        cursor.execute(f"{_NUMBERS} INSERT INTO processes_job ({', '.join(_JOB)}) SELECT {values} FROM numbers", [jobs])
        cursor.execute("ANALYZE")


def _monitoring(connections: int) -> None:
    now = datetime.now(UTC)
    nodes = [Node.objects.create(id=f"n{number}", host="earth", pid=number, started=now, seen=now) for number in range(4)]
    names = [f"n.{number}" for number in range(connections)]
    Connection.objects.bulk_create(
        [
            Connection(
                **{
                    "id": name,
                    "node": nodes[number % 4],
                    "dialect": ("geo", "phoenix", "redis")[number % 3],
                    "user": f"user{number % 5000}",
                },
                **{"address": f"192.0.2.{number % 250}", "since": now - timedelta(seconds=number)},
                **{"queue_messages": number % 7, "queue_bytes": 100 * (number % 7), "sent": number * number % 100_000},
            )
            for number, name in enumerate(names)
        ],
        1000,
    )
    Subscription.objects.bulk_create(
        [
            Subscription(
                **{"id": f"{name}/{each}", "connection_id": name, "subscription_id": str(each), "kind": "features"},
                **{"feed": f"layer:{number % 50}", "since": now - timedelta(seconds=number), "lag": number % 11},
                **{"west": 1.0, "south": 2.0, "east": 3.0, "north": 4.0},
            )
            for number, name in enumerate(names)
            for each in range(2)
        ],
        1000,
    )
    Presence.objects.bulk_create(
        [
            Presence(
                **{"id": f"{name}/room", "node": nodes[number % 4], "connection_id": name, "topic": f"room:{number % 50}"},
                **{"key": f"user{number % 5000}", "meta": {"phx_ref": "1"}, "since": now},
            )
            for number, name in enumerate(names)
        ],
        1000,
    )


def _users() -> dict[str, int]:
    users = get_user_model()._default_manager
    users.bulk_create([users.model(username=f"user{number}", password="!") for number in range(100)])
    return {"admin": users.get(username="admin").pk, "first": users.get(username="user0").pk}


def _workers(count: int) -> dict[str, int]:
    processes = {
        name: Process.objects.create(identifier=name, version="1", digest=name, description={"title": name})
        for name in ("buffer", "hotspots", "rare")
    }
    token = WorkerToken.objects.create(name="all", digest="-", hint="-", processes=["*"])
    now = datetime.now(UTC)
    workers = [Worker.objects.create(token=token, name=f"worker{number}", node="n1", last_seen=now) for number in range(count)]
    Registration.objects.bulk_create([Registration(worker=worker, process=process) for worker in workers for process in processes.values()])
    return {"worker": workers[0].pk, **{name: process.pk for name, process in processes.items()}}
