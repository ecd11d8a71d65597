"""What `manage.py doctor` finds, and that it finds nothing where all is well."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from django.core.management import call_command

from streaming.core.leases import NODE_KEY, NODES, LeaseSign
from streaming.core.redis import sync_redis
from streaming.engine.diagnoses import machine, processes, redis_server
from streaming.engine.diagnosis import Finding, Level, findings
from streaming.engine.registry import all_diagnoses
from streaming.engine.runtime import Runtime
from streaming.files.diagnosis import look_at_folder
from streaming.management.commands.doctor import look_at_settings
from streaming.models import Connection, Node

WELL = {"used_memory": 10**6, "maxmemory": 0, "maxmemory_policy": "noeviction", "aof_enabled": 1, "aof_last_write_status": "ok"}


class Disk(NamedTuple):
    free: int


def levels(found: Iterator[Finding] | list[Finding]) -> list[Level]:
    return [finding.level for finding in found]


@pytest.mark.parametrize(
    ("info", "level"),
    [
        ({}, Level.OK),
        ({"maxmemory": 2 * 10**6}, Level.OK),
        ({"maxmemory": 1.1 * 10**6}, Level.WARNING),
        ({"maxmemory_policy": "allkeys-lru"}, Level.WARNING),
        ({"maxmemory_policy": "allkeys-lru", "maxmemory": 10**9}, Level.ERROR),
        ({"evicted_keys": 3}, Level.ERROR),
    ],
)
def test_a_redis_that_may_throw_features_away_is_named(info: dict[str, Any], level: Level) -> None:
    assert max(levels(redis_server.memory({**WELL, **info}))) is level


@pytest.mark.parametrize(
    ("info", "level"), [({}, Level.OK), ({"aof_enabled": 0}, Level.WARNING), ({"aof_last_write_status": "err"}, Level.ERROR)]
)
def test_a_redis_that_does_not_keep_what_it_is_given_is_named(info: dict[str, Any], level: Level) -> None:
    assert levels(redis_server.persistence({**WELL, **info})) == [level]


@pytest.mark.parametrize(("skew", "level"), [(0.2, Level.OK), (-3, Level.WARNING), (60, Level.ERROR)])
def test_a_clock_that_is_wrong_is_named(skew: float, level: Level) -> None:
    assert redis_server.clock("It", skew).level is level


def test_a_lease_tells_the_clock_of_its_process() -> None:
    value = LeaseSign.written(10.0).encode()
    sign = LeaseSign.read(value, 8000, time.time() + 2.0 - 5.0)  # two seconds old, and Redis is five behind
    assert sign is not None and sign.skew == pytest.approx(5.0, abs=0.1)
    assert LeaseSign.read(None, -2, 0.0) is None
    older = LeaseSign.read(b"1", 5000, 0.0)
    assert older is not None and older.skew == 0.0


@pytest.mark.parametrize(("limit", "level"), [(10**6, Level.OK), (1024, Level.WARNING)])
def test_too_few_open_files(monkeypatch: pytest.MonkeyPatch, limit: int, level: Level) -> None:
    monkeypatch.setattr(machine.resource, "getrlimit", lambda what: (256, limit))
    assert levels(machine.look_at_files()) == [level]


@pytest.mark.parametrize(("free", "level"), [(10**12, Level.OK), (10**9, Level.WARNING), (10**8, Level.ERROR)])
def test_a_full_disk(monkeypatch: pytest.MonkeyPatch, settings: Any, tmp_path: Path, free: int, level: Level) -> None:
    settings.GEOSTREAM_DATA_DIR = tmp_path
    settings.GEOSTREAM_FILES_ROOT = str(tmp_path)
    monkeypatch.setattr(machine.shutil, "disk_usage", lambda folder: Disk(free))
    assert levels(machine.look_at_disk()) == [level]
    assert levels(look_at_folder()) == [Level.ERROR if level is Level.ERROR else Level.OK]


def test_an_old_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "version", lambda name: "0.52.0" if name == "uvicorn" else "9.9.9rc1")
    (wrong, listed) = machine.look_at_versions()
    assert wrong.level is Level.ERROR and "uvicorn>=0.52.1" in wrong.hint and listed.level is Level.OK


async def test_living_processes_are_well(runtime: Runtime) -> None:
    assert levels(processes.look_at_nodes()) == [Level.OK]


@pytest.mark.django_db
def test_a_process_that_was_killed_is_named(redis: None) -> None:
    sync_redis().sadd(NODES, "gone")
    found = list(processes.look_at_nodes())
    assert levels(found) == [Level.WARNING, Level.WARNING] and "killed" in found[0].message


def test_the_clock_of_a_process_that_is_wrong_is_named(redis: None) -> None:
    sync_redis().sadd(NODES, "early")
    sync_redis().set(NODE_KEY + "early", f"{time.time() - 100:.3f} 10", px=10_000)
    (found,) = processes.look_at_nodes()
    assert found.level is Level.ERROR and "early is 100.0 seconds behind" in found.message


@pytest.mark.django_db
@pytest.mark.parametrize(("addresses", "named"), [(["10.0.0.1"], True), (["10.0.0.1", "10.0.0.2"], False), (["8.8.8.8"], False)])
def test_a_proxy_that_is_not_believed_is_named(settings: Any, addresses: list[str], named: bool) -> None:
    settings.DEBUG = False
    now = datetime.now(UTC)
    node = Node.objects.create(id="n", host="h", pid=1, started=now, seen=now)
    for number in range(20):
        address = addresses[number % len(addresses)]
        Connection.objects.create(id=str(number), node=node, dialect="geo", address=address, since=now)
    assert levels(processes.look_at_addresses()) == ([Level.WARNING] if named else [])


@pytest.mark.django_db
def test_what_cannot_be_looked_at_is_said_once() -> None:
    def one() -> Iterator[Finding]:
        """One: thing."""
        raise ValueError("broken")
        yield

    def other() -> Iterator[Finding]:
        """Another: thing."""
        raise ValueError("broken")
        yield

    (found,) = findings([one, other])
    assert (found.level, found.subject, found.message) == (Level.ERROR, "One", "cannot be looked at: broken")


def test_parts_declare_their_own() -> None:
    assert look_at_folder in all_diagnoses()


@pytest.mark.django_db
def test_the_document_for_programs_has_each_with_its_level(redis: None, settings: Any) -> None:
    output = StringIO()
    with pytest.raises(SystemExit) as ended:
        call_command("doctor", "--json", stdout=output)
    said = json.loads(output.getvalue())
    rank = {"ok": 0, "warning": 1, "error": 2}
    assert ended.value.code == rank[said["level"]] == max(rank[each["level"]] for each in said["findings"])
    assert {"Versions", "Redis", "Database", "Files"} <= {each["subject"] for each in said["findings"]}


@pytest.mark.django_db
def test_a_clean_check_of_deployment_is_said(redis: None, settings: Any) -> None:
    settings.DEBUG = False
    settings.GEOSTREAM_METRICS_TOKEN = settings.SECRET_KEY = "q7vJ0cQ4wKX3f8mB2nS9tYeU5rHdPzLaaaBBccDDeeFFggHHiiJJkk11223344"
    settings.SECURE_HSTS_SECONDS, settings.SESSION_COOKIE_SECURE, settings.CSRF_COOKIE_SECURE = 3600, True, True
    settings.GEOSTREAM_OPEN_TOKENS = False
    assert [(finding.level, finding.message) for finding in look_at_settings()] == [
        (Level.OK, "nothing dangerous: `check --deploy` is clean")
    ]


@pytest.mark.django_db
def test_the_page_has_the_worst_first_and_what_to_do(redis: None, settings: Any) -> None:
    settings.GEOSTREAM_REDIS_LAYERS = "???"
    output = StringIO()
    with pytest.raises(SystemExit) as ended:
        call_command("doctor", stdout=output)
    lines = output.getvalue().splitlines()
    assert ended.value.code == 2 and lines[0].startswith("error    streaming.E009") and "errors" in lines[-1]
