"""What tests share: a Redis of their own, an engine in this process, and whole servers beside it."""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from streaming.core import redis as redis_connections
from streaming.engine.lifespan import get_runtime, stop_runtime
from streaming.engine.runtime import Runtime
from streaming.features.layers import catalogue
from streaming.server.embedded_redis import RedisService, start_redis

from . import processes
from .geo_peer import GeoPeer
from .server_process import ServerProcess
from .time_limits import pytest_configure, pytest_runtest_protocol, pytest_runtest_teardown

# Timings are no test: the first text that Hypothesis draws on a fresh clone takes a second, for it makes its tables of characters.
settings.register_profile("geostream", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("geostream")

REQUIRE_OPTIONAL = bool(os.environ.get("GEOSTREAM_REQUIRE_OPTIONAL"))


def missing(what: str) -> None:
    """Skip a test that needs something optional; where everything must be there (CI), fail it."""
    if REQUIRE_OPTIONAL:
        pytest.fail(f"{what} is required here (GEOSTREAM_REQUIRE_OPTIONAL)")
    pytest.skip(f"needs {what}")


@pytest.fixture(scope="session", autouse=True)
def default_signals() -> Iterator[None]:
    with processes.default_signals():
        yield


@pytest.fixture
def start_process() -> Iterator[processes.Start]:
    """Starts processes that are gone when the test ends."""
    with processes.starting() as start:
        yield start


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
    environment = processes.site_environment(folder, DJANGO_SUPERUSER_PASSWORD="admin")
    processes.manage("migrate", "-v", "0", env=environment)
    processes.manage("createsuperuser", "--noinput", "--username", "admin", "--email", "a@example.org", env=environment)
    return folder / "geostream.sqlite3"


@pytest.fixture
def make_server(tmp_path: Path, migrated_database: Path) -> Iterator[Callable[..., ServerProcess]]:
    """Makes `manage.py serve` processes. Those with the same `data` share a database, those with the same `redis_url` a Redis."""
    with ExitStack() as servers:

        def make(redis_url: str, data: str = "data", **environment: str) -> ServerProcess:
            folder = tmp_path / data
            if not folder.exists():
                folder.mkdir()
                shutil.copy(migrated_database, folder / "geostream.sqlite3")
            return servers.enter_context(ServerProcess(folder, redis_url, environment))

        yield make


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[RedisService]:
    """A Redis of the test's own, which it may stop and start."""
    with start_redis(tmp_path / "own-redis") as service:
        yield service


@pytest.fixture
def server(own_redis: RedisService, make_server: Callable[..., ServerProcess]) -> ServerProcess:
    """One running server with a Redis of its own and a superuser admin/admin."""
    return make_server(own_redis.url)


__all__ = ["missing", "pytest_configure", "pytest_runtest_protocol", "pytest_runtest_teardown"]
