"""Pages of the admin with many rows: 10,000 connections with their subscriptions, and a million jobs; nothing else runs.

"ms" is the shortest of five requests, in this process, after one that warms caches: whatever else the machine does only adds to it.
"CPU ms" is what of one was computed, by the database's processes too (where those are others, in steps of 2 ms). "over": more than 300 ms.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from .postgres import Postgres, postgres, tools
from .stack import site

CONNECTIONS, JOBS, WORKERS = 10_000, 1_000_000, 100
LIMIT_MS = 300
PAGES = (
    "",
    "streaming/connection/",
    "streaming/connection/?q=user77",
    "streaming/connection/?o=1",
    "streaming/connection/?o=5",
    "streaming/connection/?o=6",
    "streaming/connection/?o=8",
    "streaming/connection/?o=9",
    "streaming/connection/?p=90",
    "streaming/connection/?dialect=geo&node__id__exact=n1",
    "streaming/subscription/",
    "streaming/subscription/?q=layer:3",
    "streaming/subscription/?q=user77",
    "streaming/subscription/?o=4",
    "streaming/subscription/?o=-9",
    "streaming/subscription/?connection__dialect=geo",
    "streaming/presence/",
    "streaming/presence/?q=user77",
    "streaming/presence/?p=90",
    "streaming/node/",
    "processes/process/",
    "processes/worker/",
    "processes/job/",
    *(f"processes/job/?status__exact={status}" for status in ("accepted", "running", "failed", "dismissed")),
    "processes/job/?hidden__exact=1",
    "processes/job/?created__gte=2026-01-05T00%3A00%3A00Z&created__lt=2026-01-06T00%3A00%3A00Z",
    "processes/job/?process_identifier=buffer",
    "processes/job/?process_identifier=rare",
    "processes/job/?process_identifier=rare&status__exact=failed",
    "processes/job/?process_identifier=buffer&status__exact=dismissed",
    "processes/job/?process_identifier=buffer&status__exact=accepted",
    "processes/job/?q=buffer",
    "processes/job/?q=buffer&status__exact=dismissed",
    "processes/job/?q=admin",
    "processes/job/?q=nobody",
    "processes/job/?p=100",
    "processes/job/?o=7",
)


def run(share: float) -> Iterator[dict[str, Any]]:
    """One row a page, with SQLite and, where it is installed, PostgreSQL; `share` of the rows."""
    yield from _rows("SQLite", None, share)
    if (folder := tools()) is not None:
        with postgres(folder, fsync=False) as database:
            yield from _rows("PostgreSQL", database, share)


def _rows(name: str, database: Postgres | None, share: float) -> Iterator[dict[str, Any]]:
    with site(**({"DATABASE_URL": database.url} if database else {})):
        from .admin_rows import fill

        fill(int(CONNECTIONS * share), int(JOBS * share), int(WORKERS * share))
        for row in measured(database):
            yield {"database": name, **row}


def measured(database: Postgres | None) -> Iterator[dict[str, Any]]:
    """The rows of the database that Django uses."""
    from django.conf import settings
    from django.contrib.auth import get_user_model
    from django.test import Client

    from streaming.operators.connection_list import Wanted, listed

    settings.ALLOWED_HOSTS = ["testserver"]
    client = Client()
    client.force_login(get_user_model()._default_manager.get(username="admin"))
    for page in PAGES:
        yield {"page": f"/admin/{page}", **_measured(partial(_get, client, f"/admin/{page}"), database)}
    for wanted in (Wanted(), Wanted(find="user77"), Wanted(find="layer:3"), Wanted(order="queue"), Wanted(page=100)):
        said = " ".join(f"{name}={value}" for name in ("find", "order", "page") if (value := getattr(wanted, name)))
        yield {"page": f"Connections, {said}", **_measured(partial(listed, wanted), database)}


def _get(client: Any, path: str) -> None:
    assert client.get(path).status_code == 200, path


def _measured(request: Callable[[], object], database: Postgres | None) -> dict[str, Any]:
    request()
    taken = []
    before = _used(database)
    for _ in range(5):
        began = time.perf_counter()
        request()
        taken.append((time.perf_counter() - began) * 1000)
    ms = min(taken)
    return {"ms": round(ms, 1), "CPU ms": round((_used(database) - before) * 200, 1), "over": "over" if ms > LIMIT_MS else ""}


def _used(database: Postgres | None) -> float:
    return time.process_time() + (database.cpu if database else 0.0)
