"""The tutorial, followed: its commands are run and its files are written as it prints them.

Its packages come from wheels that are built here, its server listens on another port, and its Redis is one of the tests.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.request import urlopen

import pytest
from websockets.sync.client import connect

from streaming.server.embedded_redis import RedisService
from streaming.server.redis_server import find_server
from tests.browser.map_page import MapPage, WatchedPage
from tests.processes import PIPE, STDOUT, Process, Start

from . import tutorial
from .environment import ROOT, Environment, distribution_of
from .project import HostServer, Project
from .tutorial import SHELL, Block

pytestmark = pytest.mark.long_form(only=True)

RELIEF = ROOT / "streaming" / "demo" / "relief.tif"
TUTORIAL_PORT = "127.0.0.1:8000"
DONE_OTHERWISE = ("python3 -m venv venv", ". venv/bin/activate", "pip install /path/to/the/clone")
"""What the fixture `host` stands for."""
SUPERUSER = {"DJANGO_SUPERUSER_USERNAME": "admin", "DJANGO_SUPERUSER_EMAIL": "a@example.org", "DJANGO_SUPERUSER_PASSWORD": "admin"}


@dataclass(frozen=True)
class Site:
    """The project of the tutorial, served."""

    project: Project
    server: HostServer

    def type(self, block: Block) -> str:
        """Do what a block says in a terminal: lines of a shell, or of `manage.py shell`."""
        if block.place == SHELL:
            return self.project.manage("shell", "-c", block.text).stdout
        return "".join(self.project.shell(line.replace(TUTORIAL_PORT, f"127.0.0.1:{self.server.port}")).stdout for line in lines(block))

    def url(self, path: str) -> str:
        return self.server.url + path


def lines(block: Block) -> list[str]:
    assert block.language == "sh"
    return block.text.splitlines()


def files(title: str) -> list[Block]:
    return [block for block in tutorial.section(title) if block.place not in (None, SHELL)]


def start(folder: Path, host: Environment, redis_url: str) -> Project:
    """Section 2, from an empty folder on."""
    project = Project(folder, host, redis_url)
    commands, *_ = tutorial.section("A Django project")
    for line in lines(commands):
        if line.startswith("cd "):
            project = replace(project, folder=project.folder / line.removeprefix("cd "))
        elif line not in DONE_OTHERWISE:
            project.shell(line)
    for block in files("A Django project"):
        write(project, block)
    return project


def write(project: Project, block: Block) -> None:
    assert block.place is not None
    project.write(block.place, block.text, block.at_the_end)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, host: Environment, module_redis: RedisService) -> Iterator[Site]:
    """The tutorial up to `serve`, and the page, the program and the geoprocesses that come after."""
    project = start(tmp_path_factory.mktemp("tutorial"), host, module_redis.url)
    for title in ("A layer from a model", "Your own page", "A program elsewhere", "Geoprocesses"):
        for block in files(title):
            write(project, block)
    serving, *_ = tutorial.section("Serve it")
    for line in lines(serving):
        match line.removeprefix("python manage.py ").split():
            case ["createsuperuser"]:
                project.manage("createsuperuser", "--noinput", **SUPERUSER)
            case ["serve"]:
                with project.server() as server:
                    yield Site(project, server)
            case arguments:
                project.manage(*arguments)
    assert "Traceback" not in server.log.read_text()


@pytest.fixture(scope="module")
def tram(site: Site) -> Callable[[], object]:
    """The vehicle, made; called, it moves."""
    _, make, move = tutorial.section("Serve it")
    site.type(make)
    return lambda: site.type(move)


def test_what_a_model_saves_reaches_a_program_without_django(
    site: Site, tram: Callable[[], object], elsewhere: Environment, start_process: Start
) -> None:
    program = site.project.folder / "listen.py"
    program.write_text(program.read_text().replace(TUTORIAL_PORT, f"127.0.0.1:{site.server.port}"))
    listening = start_process(elsewhere.python, program, env=elsewhere.variables(), stdout=PIPE, stderr=STDOUT)
    assert next_line(listening).startswith("added {'name': 'Tram 4', 'speed_kmh': ")
    tram()
    assert next_line(listening) == "updated {'name': 'Tram 4', 'speed_kmh': 45}\n"


def next_line(process: Process) -> str:
    assert process.stdout is not None
    return process.stdout.readline()


@pytest.mark.browser
def test_the_map_shows_it(site: Site, tram: Callable[[], object], open_map: Callable[..., MapPage]) -> None:
    live = open_map(site.server, "layers=vehicles")
    live.wait_for(lambda: live.by_id("count-total").inner_text() == "1")
    updates = int(live.by_id("count-updated").inner_text())
    tram()
    live.wait_for(lambda: int(live.by_id("count-updated").inner_text()) > updates)


@pytest.mark.browser
def test_the_page_of_ones_own_shows_it(site: Site, tram: Callable[[], object], open_page: Callable[..., WatchedPage]) -> None:
    (page,) = files("Your own page")
    assert page.place is not None
    opened = open_page(site.url(f"/{page.place.removeprefix('fleet/')}"))
    tram()
    opened.wait("document.querySelector('p').textContent === 'Tram 4'")


def test_every_address_of_the_tutorial_is_there(site: Site) -> None:
    addresses = set(re.findall(rf"http://{TUTORIAL_PORT}(/(?:[\w/.-]*[\w/])?)", tutorial.TEXT))
    assert {"/", "/admin/", "/admin/live/"} < addresses
    for path in addresses | {"/api/docs/", "/api/schema/", "/channels/test/"}:
        with urlopen(site.url(path)) as answer:
            assert answer.status == 200, path


def test_a_layer_from_a_file(site: Site) -> None:
    (commands,) = tutorial.section("A layer from a file")
    assert "177 added" in site.type(commands)
    assert "0 added, 0 updated, 177 unchanged" in site.type(commands)


def test_an_event(site: Site) -> None:
    (publish,) = tutorial.section("Events")
    with connect(site.server.ws_url) as socket:
        socket.send(json.dumps({"type": "subscribe_events", "subscription_id": "e", "event_types": ["progress"]}))
        assert json.loads(socket.recv(timeout=10))["success"]
        site.type(publish)
        assert json.loads(socket.recv(timeout=10))["payload"] == {"task_id": "import", "current": 3, "total": 10}


def test_vector_tiles_need_no_extra(site: Site, tram: Callable[[], object]) -> None:
    vector, _ = tutorial.section("Tiles")
    site.type(vector)
    with urlopen(site.url("/tiles/vehicle-tiles/5/16/11.mvt")) as answer:
        assert answer.status == 200 and answer.read()


def test_rasters_are_an_extra(site: Site, wheel: Path) -> None:
    _, rasters = tutorial.section("Tiles")
    extras = re.findall(r"geostream\[([\w-]+)\]", tutorial.TEXT)
    assert set(extras) <= set(distribution_of(wheel).metadata.get_all("Provides-Extra") or ())
    install, add = lines(rasters)
    assert install == "pip install 'django-geostream[tiles]'"
    options = set(re.findall(r"--\w+", add))
    assert options <= set(re.findall(r"--\w+", site.project.manage("add_tiles", "--help").stdout))
    refused = site.project.manage("add_tiles", "relief", str(RELIEF), "--copy", check=False)
    assert refused.returncode == 1 and install in refused.stderr


def test_built_in_geoprocesses_are_an_extra(site: Site) -> None:
    _, _, worker = tutorial.section("Geoprocesses")
    install, run = lines(worker)
    refused = site.project.manage(*run.removeprefix("python manage.py ").split(), check=False)
    assert refused.returncode == 1 and install in refused.stderr


def test_an_embedded_redis(tmp_path: Path, host: Environment) -> None:
    (setting,) = tutorial.section("Without a Redis")
    project = start(tmp_path, host, "")
    settings = project.folder / "mysite" / "settings.py"
    named = re.compile("^REDIS_URL = .*\n", re.MULTILINE)
    assert len(named.findall(settings.read_text())) == 1
    settings.write_text(named.sub(setting.text, settings.read_text()))
    program = "from streaming.core.redis import sync_redis; print(sync_redis().ping())"
    path = f"{find_server().parent}:{project.variables['PATH']}"
    assert "True" in project.manage("shell", "-c", program, PATH=path).stdout


def test_commands_of_production_exist(site: Site) -> None:
    (commands,) = tutorial.section("Production")
    known = site.project.manage("help").stdout.split()
    for line in lines(commands):
        assert line.removeprefix("python manage.py ").split()[0] in known
