"""What tests share: a Redis of their own, an engine in this process, and whole servers beside it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from streaming.core import redis as redis_connections
from streaming.engine.lifespan import get_runtime, stop_runtime
from streaming.engine.runtime import Runtime
from streaming.features.layers import catalogue
from streaming.server.embedded_redis import RedisService, start_redis

from .geo_peer import GeoPeer
from .server_process import ServerProcess

# Timings are no test: the first text that Hypothesis draws on a fresh clone takes a second, for it makes its tables of characters.
settings.register_profile("geostream", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("geostream")

REQUIRE_OPTIONAL = bool(os.environ.get("GEOSTREAM_REQUIRE_OPTIONAL"))


def missing(what: str) -> None:
    """Skip a test that needs something optional; where everything must be there (CI), fail it."""
    if REQUIRE_OPTIONAL:
        pytest.fail(f"{what} is required here (GEOSTREAM_REQUIRE_OPTIONAL)")
    pytest.skip(f"needs {what}")


@pytest.fixture(scope="session")
def redis_service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisService]:
    with start_redis(tmp_path_factory.mktemp("redis")) as service:
        redis_connections.configure(lambda: service.url)
        yield service


@pytest.fixture
def redis(redis_service: RedisService) -> Iterator[None]:
    """An empty Redis for tests in this process."""
    redis_connections.sync_redis().flushall()
    catalogue.clear()
    yield
    catalogue.clear()


@pytest.fixture
async def runtime(redis: None, transactional_db: None) -> AsyncIterator[Runtime]:
    """The engine, running on the test's event loop."""
    yield await get_runtime()
    await stop_runtime()


@pytest.fixture
async def geo(runtime: Runtime) -> AsyncIterator[Callable[..., GeoPeer]]:
    """Makes peers of the geo protocol, connected to the engine in this process."""
    peers: list[GeoPeer] = []

    def connect(**options: object) -> GeoPeer:
        peers.append(GeoPeer(**options))  # type: ignore[arg-type]
        return peers[-1]

    yield connect
    for peer in peers:
        await peer.close()


@pytest.fixture(scope="session")
def migrated_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated SQLite file with a superuser admin/admin, to be copied."""

    folder = tmp_path_factory.mktemp("migrated")
    environment = {
        **os.environ,
        "GEOSTREAM_DATA_DIR": str(folder),
        "DJANGO_SUPERUSER_PASSWORD": "admin",
        "DJANGO_SETTINGS_MODULE": "geostream.settings",
    }
    environment["DJANGO_SETTINGS_MODULE"] = "geostream.settings"
    environment.pop("DATABASE_URL", None)
    for command in (["migrate", "-v", "0"], ["createsuperuser", "--noinput", "--username", "admin", "--email", "a@example.org"]):
        subprocess.run([sys.executable, "manage.py", *command], check=True, env=environment, stdout=subprocess.DEVNULL)
    return folder / "geostream.sqlite3"


@pytest.fixture
def make_server(tmp_path: Path, migrated_database: Path) -> Iterator[Callable[..., ServerProcess]]:
    """Makes `manage.py serve` processes. Those with the same `data` share a database, those with the same `redis_url` a Redis."""
    servers: list[ServerProcess] = []

    def make(redis_url: str, data: str = "data", **environment: str) -> ServerProcess:
        folder = tmp_path / data
        if not folder.exists():
            folder.mkdir()
            shutil.copy(migrated_database, folder / "geostream.sqlite3")
        server = ServerProcess(folder, redis_url, environment)
        servers.append(server)
        server.start()
        return server

    yield make
    for server in servers:
        server.stop()


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[RedisService]:
    """A Redis of the test's own, which it may stop and start."""
    with start_redis(tmp_path / "own-redis") as service:
        yield service


@pytest.fixture
def server(own_redis: RedisService, make_server: Callable[..., ServerProcess]) -> ServerProcess:
    """One running server with a Redis of its own and a superuser admin/admin."""
    return make_server(own_redis.url)


__all__ = ["missing"]
