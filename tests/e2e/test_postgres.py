"""The same server on PostgreSQL."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest
from websockets.sync.client import connect

from streaming.server.embedded_redis import RedisService
from tests import processes
from tests.conftest import missing
from tests.geo_peer import point
from tests.processes import site_environment
from tests.server_process import ServerProcess

from ..profiles import only_long

pytestmark = pytest.mark.postgres


@pytest.fixture
def database_url() -> str:
    url = os.environ.get("GEOSTREAM_TEST_POSTGRES_URL", "")
    if not url:
        missing("PostgreSQL (GEOSTREAM_TEST_POSTGRES_URL)")
    return url


def manage(tmp_path: Path, database_url: str, *command: str) -> None:
    environment = site_environment(tmp_path / "data", DATABASE_URL=database_url, DJANGO_SUPERUSER_PASSWORD="admin")
    processes.manage(*command, env=environment)


@pytest.mark.parametrize("pool", [only_long("0", id="no pool"), pytest.param("6", id="a pool")])
def test_it_migrates_serves_and_records(
    pool: str, database_url: str, tmp_path: Path, make_server: Callable[..., ServerProcess], own_redis: RedisService
) -> None:
    with psycopg.connect(database_url, autocommit=True) as database:
        database.execute("DROP SCHEMA public CASCADE")
        database.execute("CREATE SCHEMA public")
    manage(tmp_path, database_url, "migrate", "-v", "0")
    manage(tmp_path, database_url, "createsuperuser", "--noinput", "--username", "admin", "--email", "a@example.org")
    server = make_server(own_redis.url, DATABASE_URL=database_url, GEOSTREAM_DATABASE_POOL=pool)
    server.publish("l", point("a", 1, 1))
    with ThreadPoolExecutor(20) as people:
        assert set(people.map(lambda _: server.request("GET", "/api/layers/")[0], range(60))) == {200}
    with psycopg.connect(database_url, autocommit=True) as database:
        (opened,) = database.execute("SELECT count(*) - 1 FROM pg_stat_activity WHERE datname = current_database()").fetchone() or ()
    assert pool == "0" or 1 <= opened <= int(pool)
    with connect(server.ws_url) as socket, psycopg.connect(database_url, autocommit=True) as database:
        socket.send(json.dumps({"type": "subscribe_features", "subscription_id": "s", "layer": "l"}))
        assert json.loads(socket.recv())["success"]
        assert json.loads(socket.recv())["id"] == "a"
        deadline = time.monotonic() + 15
        while database.execute("SELECT feed, kind FROM streaming_subscription").fetchall() != [("layer:l", "features")]:
            assert time.monotonic() < deadline, "the recorder did not write the subscription"
            time.sleep(0.1)
    deadline = time.monotonic() + 15
    with psycopg.connect(database_url, autocommit=True) as database:
        while database.execute("SELECT count(*) FROM streaming_connection").fetchone() != (0,):
            assert time.monotonic() < deadline, "the recorder did not remove the connection"
            time.sleep(0.1)
