"""A part that nobody in `streaming` knows is plugged in by one line: `tests/echo/`."""

from __future__ import annotations

import re
import shutil
import time
import urllib.request
from collections.abc import Iterator
from http.cookiejar import CookieJar
from pathlib import Path
from urllib.parse import urlencode

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from streaming.server.embedded_redis import start_redis
from tests.processes import manage, site_environment
from tests.server_process import ServerProcess

SETTINGS = {"DJANGO_SETTINGS_MODULE": "tests.echo.settings"}


@pytest.fixture(scope="module")
def echo_server(tmp_path_factory: pytest.TempPathFactory, migrated_database: Path) -> Iterator[ServerProcess]:
    """A server whose settings have the line."""
    folder = tmp_path_factory.mktemp("echo")
    shutil.copy(migrated_database, folder / "geostream.sqlite3")
    manage("migrate", "-v", "0", env=site_environment(folder, "redis://127.0.0.1:1", **SETTINGS))
    with start_redis(folder) as redis, ServerProcess(folder, redis.url, {**SETTINGS, "GEOSTREAM_RECORD_SECONDS": "0.2"}) as server:
        yield server


def scraped(server: ServerProcess, sample: str) -> float:
    with urllib.request.urlopen(f"{server.url}/metrics") as answer:
        lines = answer.read().decode().splitlines()
    name, _, labels = sample.partition("{")
    (line,) = (line for line in lines if line.startswith(name + "{") and labels.rstrip("}") in line)
    return float(line.split()[-1])


def test_what_one_client_sends_all_clients_receive(echo_server: ServerProcess) -> None:
    address = echo_server.ws_url + "/echo"
    with connect(address) as one, connect(address) as other:
        one.send("hello")
        assert (one.recv(timeout=10), other.recv(timeout=10)) == ("hello", "hello")


def test_it_refuses_with_its_own_code(echo_server: ServerProcess) -> None:
    with connect(echo_server.ws_url + "/echo") as client:
        client.send("")
        with pytest.raises(ConnectionClosed) as closed:
            client.recv(timeout=10)
    assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (4400, "send some text")  # type: ignore[union-attr]


def test_its_connections_and_messages_are_measured(echo_server: ServerProcess) -> None:
    before = scraped(echo_server, "geostream_echo_messages_total")
    with connect(echo_server.ws_url + "/echo") as client:
        client.send("hello")
        client.recv(timeout=10)
        assert scraped(echo_server, "geostream_echo_messages_total") == before + 1
        assert scraped(echo_server, 'geostream_connections{dialect="echo"') == 1


@pytest.mark.long_form(only=True)
def test_a_new_database_can_be_migrated(tmp_path: Path) -> None:
    environment = site_environment(tmp_path, "redis://127.0.0.1:1", **SETTINGS)
    manage("migrate", "-v", "0", env=environment)
    assert "No changes detected" in manage("makemigrations", "--check", "echo", env=environment).stdout


def test_its_check_is_run(tmp_path: Path) -> None:
    environment = site_environment(tmp_path, "redis://127.0.0.1:1", **SETTINGS, GEOSTREAM_ECHO_CHANNEL="")
    done = manage("check", env=environment)
    assert "echo.W001" in done.stderr


def test_its_admin_page_shows_its_connections(echo_server: ServerProcess) -> None:
    browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(CookieJar()))
    login = f"{echo_server.url}/admin/login/?next=/admin/"
    (token,) = re.findall(r'csrfmiddlewaretoken" value="(\w+)"', browser.open(login).read().decode())
    browser.open(login, urlencode({"username": "admin", "password": "admin", "csrfmiddlewaretoken": token}).encode())
    page = f"{echo_server.url}/admin/echo/echoclient/"
    with connect(echo_server.ws_url + "/echo"):
        deadline = time.monotonic() + 20
        while "1 echo client" not in browser.open(page).read().decode():
            assert time.monotonic() < deadline
            time.sleep(0.1)
