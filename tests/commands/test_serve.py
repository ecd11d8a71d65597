"""`manage.py serve` with Tangram's options, in every worker; and when it refuses to start."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import time
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import jwt
import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from streaming.server.embedded_redis import RedisService, start_redis
from tests.conftest import missing
from tests.e2e.sockets import GeoSocket
from tests.geo_peer import point
from tests.processes import manage, run, site_environment
from tests.server_process import ServerProcess

KEY = "q7vJ0cQ4wKX3f8mB2nS9tYeU5rHdPzLa"
NOWHERE = "redis://127.0.0.1:1/0"
SEED = """curl -X POST http://HOST/token -H "Content-Type: application/json" -d '{"channel": "system", "id": "client1"}'"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, migrated_database: Path) -> Iterator[ServerProcess]:
    """Two workers with everything given as options, where the environment says otherwise."""
    folder = tmp_path_factory.mktemp("serve")
    shutil.copy(migrated_database, folder / "geostream.sqlite3")
    (folder / "front end").mkdir()
    (folder / "front end" / "hello.txt").write_text("hello")
    (folder / "front end" / "index.html").write_text("not the map")
    with start_redis(folder / "redis") as redis:
        serving = ServerProcess(folder, NOWHERE, {"GEOSTREAM_JWT_SECRET": "another" * 8, "GEOSTREAM_CHANNEL_TOKEN_SECONDS": "7"})
        serving.options = (
            *("--workers", "2", "--redis-url", redis.url, f"--jwt-secret={KEY}", "--jwt-expiration-secs", "600"),
            *("--static-path", str(folder / "front end")),
        )
        with serving:
            yield serving


def workers(server: ServerProcess) -> list[dict[str, str]]:
    """The environments of the server's child processes that serve."""
    texts = [Path(f"/proc/{pid}/environ").read_bytes().decode() for pid in worker_pids(server)]
    return [dict(line.split("=", 1) for line in text.split("\0") if "=" in line) for text in texts]


def worker_pids(server: ServerProcess) -> list[str]:
    """The server's child processes that serve."""
    children = Path(f"/proc/{server.pid}/task/{server.pid}/children").read_text().split()
    return [child for child in children if _serves(child)]


def _serves(pid: str) -> bool:
    try:
        return b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except FileNotFoundError:
        return False


def token(server: ServerProcess) -> dict[str, Any]:
    status, answer = server.post("/token", {"channel": "system"}, token="")
    assert status == 200
    claims: dict[str, Any] = jwt.decode(answer["token"], KEY, algorithms=["HS256"])
    return claims


@pytest.mark.long_form(only=True)
def test_the_options_are_the_environment_of_every_worker(server: ServerProcess) -> None:
    environments = workers(server)
    assert len(environments) == 2
    for environment in environments:
        assert environment["GEOSTREAM_JWT_SECRET"] == KEY
        assert environment["GEOSTREAM_CHANNEL_TOKEN_SECONDS"] == "600"
        assert environment["REDIS_URL"] != NOWHERE
        assert environment["GEOSTREAM_STATIC_PATH"].endswith("front end")


def test_every_worker_signs_with_the_key_given_and_for_the_time_given(server: ServerProcess) -> None:
    with ThreadPoolExecutor(8) as pool:
        for claims in pool.map(lambda _: token(server), range(16)):
            assert 500 < claims["exp"] - time.time() <= 600


def test_the_key_does_not_stay_in_the_process_list(server: ServerProcess) -> None:
    command = Path(f"/proc/{server.pid}/cmdline").read_bytes().decode().split("\0")
    assert command[1:] == ["manage.py", "serve", "--port", str(server.port), "--workers", "2", ""]


def test_the_files_of_the_folder_are_served_and_the_map_stays_where_it_is(server: ServerProcess) -> None:
    with urllib.request.urlopen(f"{server.url}/hello.txt") as answer:
        assert answer.read() == b"hello"
    with urllib.request.urlopen(f"{server.url}/") as answer:
        assert b"GeoStream" in answer.read()


def test_open_tokens_are_announced_once(server: ServerProcess) -> None:
    assert server.log.read_text().count("GEOSTREAM_OPEN_TOKENS is on") == 1


def test_the_usual_request_of_a_token_works_as_printed(server: ServerProcess) -> None:
    if shutil.which("curl") is None:
        missing("curl")
    command = SEED.replace("HOST", f"127.0.0.1:{server.port}").replace("curl", "curl --silent --show-error --fail")
    answer = json.loads(run("sh", "-c", command).stdout)
    assert (answer["id"], answer["channel"]) == ("client1", "system")
    assert jwt.decode(answer["token"], KEY, algorithms=["HS256"])["id"] == "client1"


def test_neither_keys_nor_tokens_are_in_the_log(server: ServerProcess) -> None:
    status, answer = server.post("/token", {"channel": "system"}, token="")
    log = server.log.read_text()
    assert status == 200 and KEY not in log and answer["token"] not in log


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_several_workers_share_the_port(server: ServerProcess) -> None:
    token = server.log_in()

    def publish(latitude: float) -> None:
        assert server.post("/api/layers/w/features", point("a", 1, latitude), token=token)[0] == 200

    publish(2)
    with ExitStack() as stack:
        peers = [stack.enter_context(GeoSocket(server.ws_url)) for _ in range(6)]
        for peer in peers:
            peer.subscribe("w", snapshot=False)
        publish(3)
        assert [peer.next_change() for peer in peers] == [("updated", "a")] * 6


def test_a_worker_that_is_killed_is_started_again(server: ServerProcess) -> None:
    before = worker_pids(server)
    os.kill(int(before[0]), signal.SIGKILL)
    until(lambda: len(now := worker_pids(server)) == 2 and before[0] not in now and before[1] in now)


@pytest.mark.long_form(only=True)
def test_workers_end_with_a_supervisor_that_is_killed(server: ServerProcess) -> None:
    """The last one with this server."""
    pids = worker_pids(server)
    assert len(pids) == 2
    os.kill(server.pid, signal.SIGKILL)
    until(lambda: not any(_serves(pid) for pid in pids))


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["--jwt-secret", "secret"], "streaming.E001"),
        (["--static-path", "/does/not/exist"], "'/does/not/exist' is not a folder"),
        (["--jwt-expiration-secs", "0"], "'0' is not a whole number from 1"),
    ],
    ids=["key", "folder", "seconds"],
)
def test_it_refuses_to_start(tmp_path: Path, options: list[str], reason: str) -> None:
    done = manage("serve", "--workers", "2", *options, env=site_environment(tmp_path), check=False)
    assert done.returncode != 0
    assert reason in done.stderr


def test_options_that_come_too_late_are_refused() -> None:
    with pytest.raises(CommandError, match="set GEOSTREAM_JWT_SECRET in the environment"):
        call_command("serve", jwt_secret=KEY)


def test_a_port_that_is_taken_is_said_in_one_line(tmp_path: Path, migrated_database: Path, redis_service: RedisService) -> None:
    shutil.copy(migrated_database, tmp_path / "geostream.sqlite3")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = manage("serve", "--port", port, env=site_environment(tmp_path, redis_service.url), check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"CommandError: Cannot listen on 127.0.0.1:{port}: Address already in use. Another port: serve --port 8001\n"
