"""What tests share: a Redis of their own, an engine in this process, and whole servers beside it."""

from __future__ import annotations

import gc
import os
import shutil
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from contextlib import ExitStack, suppress
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from redis import utils as redis_utils

from streaming.core import redis as redis_connections
from streaming.engine.lifespan import get_runtime, stop_runtime
from streaming.engine.runtime import Runtime
from streaming.features.layers import catalogue
from streaming.server.embedded_redis import RedisService, start_redis

from . import databases, processes, profiles, time_limits
from .geo_peer import GeoPeer
from .made_once import made_once
from .quick_flush import quick_flush
from .redis_elsewhere import closing_redis, no_redis, restarting_redis
from .server_process import ServerProcess
from .time_limits import pytest_exception_interact, pytest_runtest_protocol, pytest_unconfigure

profiles.load()
redis_utils.get_lib_version = cache(redis_utils.get_lib_version)  # else it is read from a file for each connection

HEAVY = ("chromium", "migrated_database")
"""The fixtures of tests that drive a browser or start servers, which are dear."""
LIGHT = len(HEAVY) + 1
Serve = Callable[..., ServerProcess]

REQUIRE_OPTIONAL = bool(os.environ.get("GEOSTREAM_REQUIRE_OPTIONAL"))


def missing(what: str) -> None:
    """Skip a test that needs something optional; where everything must be there (CI), fail it."""
    if REQUIRE_OPTIONAL:
        pytest.fail(f"{what} is required here (GEOSTREAM_REQUIRE_OPTIONAL)")
    pytest.skip(f"needs {what}")


def pytest_configure(config: pytest.Config) -> None:
    time_limits.pytest_configure(config)
    if databases.ON_POSTGRES:
        config.addinivalue_line("filterwarnings", databases.THREADS_END)


def pytest_xdist_auto_num_workers() -> int:
    """Twice as many as there are processors: tests of servers and of browsers wait as long as they compute."""
    available = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(2, available * 2)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_collection() -> Generator[None, object, object]:
    """Without looking for garbage among what is collected, then or later: it stays to the end, and is a million objects."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def pytest_collectstart(collector: pytest.Collector) -> None:
    """Of a whole run on a fresh checkout, each worker compiles its share of the test modules first, which the others then need not."""
    worker, here = os.environ.get("PYTEST_XDIST_WORKER", ""), Path(__file__).parent
    if not worker or collector.path != here or any(Path(each).resolve() != here for each in collector.config.args):
        return
    modules = sorted(here.rglob("test_*.py"))
    first = len(modules) * int(worker.removeprefix("gw")) // int(os.environ["PYTEST_XDIST_WORKER_COUNT"])
    for path in modules[first:] + modules[:first]:
        with suppress(Exception, pytest.skip.Exception):  # is shown when it is collected
            import_module(".".join(path.relative_to(here.parent).with_suffix("").parts))


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> Generator[None]:
    """Marks what has a long form, before `-m` chooses; then heavy modules come first, so that no worker is left with one at the end."""
    for item in items:
        if getattr(getattr(item, "obj", None), "is_hypothesis_test", False):
            item.add_marker(pytest.mark.long_form)
        if not profiles.LONG and any(mark.kwargs.get("only") for mark in item.iter_markers("long_form")):
            item.add_marker(pytest.mark.skip(reason="only in the long form (make test-long)"))
    yield
    ranks: dict[Path, int] = {}
    for item in items:
        ranks[item.path] = min(ranks.get(item.path, LIGHT), _rank(item))
    items.sort(key=lambda item: (ranks[item.path], item.path))


def _rank(item: pytest.Item) -> int:
    """0 for a test that takes long, then those with a fixture in HEAVY, then all others."""
    names = getattr(item, "fixturenames", ())
    if item.get_closest_marker("slow"):
        return 0
    return next((rank for rank, heavy in enumerate(HEAVY, 1) if heavy in names), LIGHT)


@pytest.fixture(scope="session", autouse=True)
def default_signals() -> Iterator[None]:
    with processes.default_signals():
        yield


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:
    """The database of the tests in this process."""
    if not databases.is_made(connection.settings_dict["NAME"]):
        yield
        return
    with django_db_blocker.unblock(), quick_flush():
        django_db_blocker.block()
        yield
        django_db_blocker.restore()


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
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated database of SQLite. One worker makes it for all: that takes seconds."""

    def make(folder: Path) -> None:
        processes.manage("migrate", "-v", "0", env=processes.site_environment(folder))

    return made_once(tmp_path_factory, "empty", make) / databases.FILE


@pytest.fixture(scope="session")
def django_db_keepdb(request: pytest.FixtureRequest, django_db_modify_db_settings: None) -> bool:
    """Whether the database of the tests in this process is there already: workers of a run begin with a copy."""
    if databases.ON_POSTGRES or "PYTEST_XDIST_WORKER" not in os.environ:
        return False
    shutil.copy(request.getfixturevalue("empty_database"), connection.settings_dict["TEST"]["NAME"])
    return True


@pytest.fixture(scope="session")
def migrated_database(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated database with a superuser admin/admin, to be copied (`databases.copied`). One worker makes it for all."""

    def make(folder: Path) -> None:
        environment = processes.site_environment(folder, DJANGO_SUPERUSER_PASSWORD="admin", **databases.migrated(folder))
        if databases.ON_POSTGRES:
            processes.manage("migrate", "-v", "0", env=environment)
        else:
            shutil.copy(request.getfixturevalue("empty_database"), folder / databases.FILE)
        processes.manage("createsuperuser", "--noinput", "--username", "admin", "--email", "a@example.org", env=environment)

    return made_once(tmp_path_factory, "migrated", make) / databases.FILE


@pytest.fixture
def beside(redis: None, redis_service: RedisService, transactional_db: None, settings: Any, tmp_path: Path) -> dict[str, str]:
    """The environment of a process beside this one: the same database, Redis and data folder (which is the test's own)."""
    settings.GEOSTREAM_DATA_DIR = tmp_path
    database = databases.url_of_connection(settings.DATABASES["default"]["NAME"])
    return processes.site_environment(tmp_path, redis_service.url, DATABASE_URL=database)


@pytest.fixture(scope="module")
def module_redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisService]:
    with start_redis(tmp_path_factory.mktemp("redis")) as service:
        yield service


@pytest.fixture(scope="module")
def serve(tmp_path_factory: pytest.TempPathFactory, migrated_database: Path, module_redis: RedisService) -> Iterator[Serve]:
    """Starts servers that share the module's Redis and, if they name the same `data`, a database. A start of Python is the dearest of all
    that tests do, so those of a module share what need not be fresh.
    """
    base = tmp_path_factory.mktemp("servers")
    with ExitStack() as servers:

        def start(command: str = "serve", data: str = "data", redis_url: str = "", workers: int = 1, **environment: str) -> ServerProcess:
            folder = base / data
            if not folder.exists():
                folder.mkdir()
                databases.copied(migrated_database, folder)
            own = {**databases.environment_of(folder), **environment}
            server = ServerProcess(folder, redis_url or module_redis.url, own, command)
            server.options = ("--workers", str(workers)) if workers > 1 else ()
            return servers.enter_context(server)

        yield start


@pytest.fixture(scope="module")
def usual(serve: Serve) -> ServerProcess:
    """The module's server with the usual settings and a superuser admin/admin."""
    return serve()


@pytest.fixture
def make_server(tmp_path: Path, migrated_database: Path) -> Iterator[Callable[..., ServerProcess]]:
    """Makes servers of the test's own. Those with the same `data` share a database, those with the same `redis_url` a Redis."""
    with ExitStack() as servers:

        def make(redis_url: str, data: str = "data", **environment: str) -> ServerProcess:
            folder = tmp_path / data
            if not folder.exists():
                folder.mkdir()
                databases.copied(migrated_database, folder)
            return servers.enter_context(ServerProcess(folder, redis_url, {**databases.environment_of(folder), **environment}))

        yield make


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[RedisService]:
    """A Redis of the test's own, which it may stop and start."""
    with start_redis(tmp_path / "own-redis") as service:
        yield service


__all__ = [
    "closing_redis",
    "missing",
    "no_redis",
    "pytest_configure",
    "pytest_exception_interact",
    "pytest_runtest_protocol",
    "pytest_unconfigure",
    "restarting_redis",
]
