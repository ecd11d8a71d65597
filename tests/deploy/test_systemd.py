"""`deploy/geostream.service` is what systemd understands, and its command serves with the settings of `deploy/geostream.env.example`."""

from __future__ import annotations

import re
import shlex
import shutil
import signal
import socket
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from secrets import token_urlsafe
from string import Template

import pytest

from streaming.server.embedded_redis import RedisService
from tests.conftest import missing
from tests.server_process import free_port

from .programs import DEPLOY, DOCUMENT, Program, finished, running

pytestmark = pytest.mark.long_form(only=True)

PLACE = "/opt/geostream"
"""Where the unit expects a checkout."""
EXPOSURE = 20
"""The most of what `systemd-analyze security` calls exposure, of 100; a service that restricts nothing has 96."""


def lines(path: Path) -> Iterator[tuple[str, str]]:
    """Names and values of a unit or of a file of settings."""
    for line in path.read_text().splitlines():
        if not line.startswith(("#", "[")) and "=" in line:
            name, _, value = line.partition("=")
            yield name, value


UNIT = list(lines(DEPLOY / "geostream.service"))
SETTINGS = dict(lines(DEPLOY / "geostream.env.example"))


def value(name: str) -> str:
    return next(each for key, each in UNIT if key == name)


@pytest.fixture
def unit(tmp_path: Path) -> Path:
    """The unit for this checkout, with the interpreter that runs the tests."""
    text = (DEPLOY / "geostream.service").read_text()
    path = tmp_path / "geostream.service"
    path.write_text(text.replace(f"{PLACE}/.venv/bin/python", sys.executable).replace(PLACE, str(DEPLOY.parent)))
    return path


def systemd_analyze() -> str:
    found = shutil.which("systemd-analyze")
    if found is None:
        missing("systemd-analyze (systemd)")
    return str(found)


def test_systemd_understands_every_line(unit: Path) -> None:
    run = finished([systemd_analyze(), "verify", "--man=no", str(unit)], unit.parent, {})
    assert (run.returncode, run.stdout + run.stderr) == (0, "")


def test_it_is_confined(unit: Path) -> None:
    command = [systemd_analyze(), "security", "--offline=true", f"--threshold={EXPOSURE}", "--no-pager", str(unit)]
    run = finished(command, unit.parent, {})
    assert run.returncode == 0, run.stdout + run.stderr


def test_what_it_may_write_is_where_its_data_are() -> None:
    assert value("ProtectSystem") == "strict"
    assert SETTINGS["GEOSTREAM_DATA_DIR"] == f"/var/lib/{value('StateDirectory')}"


def test_it_listens_where_nginx_asks() -> None:
    asked = re.search(r"^ +server ([\d.]+):(\d+);", (DEPLOY / "nginx.conf").read_text(), re.M)
    assert asked is not None and f"--host {asked[1]} --port {asked[2]}" in value("ExecStart")


def test_its_settings_are_settings() -> None:
    documented = (DEPLOY.parent / "docs" / "settings.md").read_text()
    for name in SETTINGS.keys() - {"GEOSTREAM_WORKERS"}:
        assert f"`{name}`" in documented


def test_what_is_secret_is_for_whoever_copies_it_to_make() -> None:
    for name in ("GEOSTREAM_SECRET_KEY", "GEOSTREAM_METRICS_TOKEN"):
        assert SETTINGS[name] == ""


@dataclass
class Service:
    """The unit's command, as systemd would start it but on another port."""

    command: list[str]
    environment: dict[str, str]
    port: int


@pytest.fixture
def service(own_redis: RedisService, tmp_path: Path) -> Service:
    environment = dict(word.split("=", 1) for name, text in UNIT if name == "Environment" for word in text.split())
    environment.update(SETTINGS, GEOSTREAM_DATA_DIR=str(tmp_path), REDIS_URL=own_redis.url)
    environment["DATABASE_URL"] = f"sqlite:///{tmp_path}/geostream.sqlite3"
    python, *arguments = shlex.split(Template(value("ExecStart")).substitute(environment))
    assert python == f"{PLACE}/.venv/bin/python"
    port = free_port()
    return Service([sys.executable, *arguments, "--port", str(port)], environment, port)


def test_its_settings_are_what_is_demanded_of_a_deployment(service: Service) -> None:
    keys = {"GEOSTREAM_SECRET_KEY": token_urlsafe(48), "GEOSTREAM_METRICS_TOKEN": token_urlsafe(48)}
    run = finished(
        [sys.executable, "manage.py", "check", "--deploy", "--fail-level", "WARNING"], DEPLOY.parent, {**service.environment, **keys}
    )
    assert run.returncode == 0 and "no issues" in run.stdout, run.stdout + run.stderr


def test_it_does_not_start_without_a_key(service: Service) -> None:
    run = finished(service.command, DEPLOY.parent, service.environment)
    assert run.returncode != 0 and "GEOSTREAM_SECRET_KEY must be set" in run.stderr


@contextmanager
def serving(service: Service, migrated_database: Path, folder: Path) -> Iterator[tuple[Program, socket.socket]]:
    """The unit's command once it has said that it is ready, and the socket to which it says what it does."""
    shutil.copy(migrated_database, folder / "geostream.sqlite3")
    environment = {**service.environment, "GEOSTREAM_SECRET_KEY": "wX3f8mB2nS9tYeU5rHdPzLaq7vJ0cQ4K"}
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(folder / "notify"))
        systemd.settimeout(float(value("TimeoutStartSec")))
        environment["NOTIFY_SOCKET"] = str(folder / "notify")
        with running(service.command, DEPLOY.parent, environment, folder / "log") as program:
            assert systemd.recv(100) == b"READY=1"
            assert is_ready(service.port)
            yield program, systemd


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_it_serves_and_stops_in_time_and_says_so(service: Service, migrated_database: Path, tmp_path: Path) -> None:
    with serving(service, migrated_database, tmp_path) as (program, systemd):
        assert len(children(program)) >= int(SETTINGS["GEOSTREAM_WORKERS"])
        program.process.terminate()
        assert systemd.recv(100) == b"STOPPING=1"
        program.process.wait(float(value("TimeoutStopSec")))


@pytest.mark.long_form(only=True)  # what it does at SIGHUP is tested elsewhere, and what it says then too
@pytest.mark.timeout(180)
def test_it_reloads_and_says_so(service: Service, migrated_database: Path, tmp_path: Path) -> None:
    with serving(service, migrated_database, tmp_path) as (program, systemd):
        program.process.send_signal(signal.SIGHUP)
        assert systemd.recv(100).startswith(b"RELOADING=1\n")
        assert systemd.recv(100) == b"READY=1"
        assert is_ready(service.port)


def test_reloading_is_asked_for_by_sighup() -> None:
    assert value("ExecReload") == "/bin/kill -HUP $MAINPID" and value("Type") == "notify"


def test_the_document_migrates_with_the_same_settings(service: Service, tmp_path: Path) -> None:
    settings = {**SETTINGS, **service.environment, "GEOSTREAM_SECRET_KEY": "wX3f8mB2nS9tYeU5rHdPzLaq7vJ0cQ4K"}
    (tmp_path / "geostream.env").write_text("".join(f"{name}={settings[name]}\n" for name in SETTINGS))
    (command,) = set(re.findall(r"^sudo -u geostream (sh -c '.* manage.py migrate')$", DOCUMENT.read_text(), re.M))
    here = command.replace("/etc/geostream/", f"{tmp_path}/").replace(".venv/bin/python", sys.executable).replace(PLACE, str(DEPLOY.parent))
    run = finished(shlex.split(here), tmp_path, {})
    assert run.returncode == 0 and "Applying streaming." in run.stdout, run.stdout + run.stderr
    assert (tmp_path / "geostream.sqlite3").exists()


def is_ready(port: int) -> bool:
    request = urllib.request.Request(f"http://127.0.0.1:{port}/readyz", headers={"Host": SETTINGS["GEOSTREAM_ALLOWED_HOSTS"]})
    try:
        with urllib.request.urlopen(request, timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def children(program: Program) -> list[str]:
    pid = program.process.pid
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
