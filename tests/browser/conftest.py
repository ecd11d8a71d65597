"""One Chromium and one server for all browser tests, a cleared browser context and no layers for each.

Scopes are "package", not "session": while Playwright's synchronous API is in use, asyncio believes that a loop runs in this thread,
so it has to end before the next asynchronous test begins.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, StorageState, sync_playwright

from streaming.server.embedded_redis import start_redis

from ..conftest import missing
from ..processes import MANAGE, Process
from ..server_process import START_SECONDS, ServerProcess
from .contexts import Contexts
from .fleet import fleet, renew
from .map_page import PHONE, MapPage, WatchedPage

ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # A document that a test answers itself has no address, and would have to ask before it may talk to one of this machine.
    "--disable-features=LocalNetworkAccessChecks,LocalNetworkAccessChecksWebSockets",
)
# The first is what Playwright itself uses when nobody looks: a page costs it half of what it costs the whole browser.
BROWSERS = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
MAP = {"width": 1024, "height": 640}
"""Of a window with a map in it, which is drawn without a graphics card."""
KNOWN_FILES = {"DJANGO_SETTINGS_MODULE": "tests.browser.known_files"}
HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.parent == HERE:
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="package")
def chromium() -> Iterator[Browser]:
    path = next(filter(None, map(shutil.which, BROWSERS)), None)
    if path is None:
        missing("Chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture(scope="package")
def contexts(chromium: Browser) -> Contexts:
    return Contexts(chromium)


@pytest.fixture(scope="package")
def shared_server(tmp_path_factory: pytest.TempPathFactory, migrated_database: Path) -> Iterator[ServerProcess]:
    folder = tmp_path_factory.mktemp("browser")
    shutil.copy(migrated_database, folder / "geostream.sqlite3")
    with start_redis(folder) as redis, ServerProcess(folder, redis.url, KNOWN_FILES) as server:
        yield server


@pytest.fixture
def site(shared_server: ServerProcess) -> Iterator[ServerProcess]:
    """A server without layers and tilesets, which a test may also end and start again."""
    yield shared_server
    if shared_server.process is None:
        shared_server.start()
    remove_all(shared_server)


@pytest.fixture(scope="package")
def logged_in(contexts: Contexts, shared_server: ServerProcess) -> StorageState:
    """The cookies of the superuser `admin` on the shared server: `open_page(url, storage_state=logged_in)`."""
    with contexts.lend() as context:
        page = WatchedPage(context.new_page())
        page.page.goto(f"{shared_server.url}/admin/")
        page.log_in()
        return context.storage_state()


def _wait_for_processes(server: ServerProcess) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not {"buffer", "geofence", "hotspots"} <= {each["id"] for each in server.request("GET", "/ogc/processes")[1]["processes"]}:
        assert time.monotonic() < deadline, "the worker does not offer its processes"
        time.sleep(0.1)


def remove_all(server: ServerProcess) -> None:
    """Leave no layers and tilesets behind."""
    for kind in ("tilesets", "layers"):
        for each in server.request("GET", f"/api/{kind}/")[1]:
            status, answer = server.request("DELETE", f"/api/{kind}/{each['name']}/")
            assert status == 204, answer


@pytest.fixture(scope="package")
def site_with_worker(tmp_path_factory: pytest.TempPathFactory, migrated_database: Path) -> Iterator[ServerProcess]:
    """A server on which anybody may run processes, and the built-in worker."""
    folder = tmp_path_factory.mktemp("processes")
    shutil.copy(migrated_database, folder / "geostream.sqlite3")
    with start_redis(folder) as redis:
        opened = {"GEOSTREAM_PROCESS_ANONYMOUS": "1", "GEOSTREAM_PROCESS_OPEN_NAMES": "open-*", "GEOSTREAM_SERVER_EVENTS": "1"}
        environment = {**opened, **KNOWN_FILES}
        with ServerProcess(folder, redis.url, environment) as server, (folder / "worker.log").open("wb") as log:
            command = (*MANAGE, "process_worker", "--url", f"ws://127.0.0.1:{server.port}/ws/processes")
            worker = Process(*command, env=server.environment, stdout=log, stderr=log)
            try:
                _wait_for_processes(server)
                yield server
            finally:
                worker.end()


@pytest.fixture
def flights(site: ServerProcess) -> ServerProcess:
    """A server with the 20 aircraft of `fleet()` in the layer `flights`."""
    site.publish("flights", *fleet())
    return site


@pytest.fixture(scope="module")
def live_site(shared_server: ServerProcess) -> Iterator[ServerProcess]:
    """The server of `live` and `phone`. Its layers stay from test to test, so no test of the module has `site`."""
    yield shared_server
    remove_all(shared_server)


@pytest.fixture(scope="module")
def kept_map(contexts: Contexts, live_site: ServerProcess) -> Iterator[Callable[..., MapPage]]:
    """A map, which the tests of a module share: to open one costs a second of processor time."""
    opened: dict[str, MapPage] = {}
    lent = ExitStack()

    def keep(name: str, address: str, **options: Any) -> MapPage:
        renew(live_site)
        if name not in opened:
            opened[name] = MapPage(lent.enter_context(contexts.lend(**{"viewport": MAP, **options})).new_page())
            opened[name].open(f"{live_site.url}/#{address}")
        opened[name].start_over(address)
        return opened[name]

    with lent:
        yield keep


@pytest.fixture
def live(kept_map: Callable[..., MapPage]) -> Iterator[MapPage]:
    """The map that a module's tests share, as it is when it has just been opened: with the 20 aircraft of `fleet()`."""
    page = kept_map("desktop", "map=7.5/46.8/8.0")
    yield page
    page.check()


@pytest.fixture
def phone(kept_map: Callable[..., MapPage]) -> Iterator[MapPage]:
    """The same on a phone, with the panel closed."""
    page = kept_map("phone", "map=6/46.8/8.0", **PHONE)
    yield page
    page.check()


@pytest.fixture
def new_context(contexts: Contexts) -> Iterator[Callable[..., BrowserContext]]:
    """A context with these options, and nothing in it but files in its cache."""
    with ExitStack() as lent:
        yield lambda **options: lent.enter_context(contexts.lend(**options))


@pytest.fixture
def open_page(new_context: Callable[..., BrowserContext]) -> Iterator[Callable[..., WatchedPage]]:
    """Opens an address; whatever goes wrong in the page fails the test."""
    opened: list[WatchedPage] = []

    def open_(url: str, **options: Any) -> WatchedPage:
        opened.append(WatchedPage(new_context(**options).new_page()))
        opened[-1].page.goto(url)
        return opened[-1]

    yield open_
    for page in opened:
        page.check()


@pytest.fixture
def open_map(new_context: Callable[..., BrowserContext]) -> Iterator[Callable[..., MapPage]]:
    """Opens the live map of a server, by default with Switzerland in view; whatever goes wrong in the page fails the test."""
    opened: list[MapPage] = []

    def open_(server: ServerProcess, address: str = "map=7.5/46.8/8.0", **options: Any) -> MapPage:
        opened.append(MapPage(new_context(**{"viewport": MAP, **options}).new_page()))
        opened[-1].open(f"{server.url}/#{address}" if address else server.url)
        return opened[-1]

    yield open_
    for page in opened:
        page.check()


@pytest.fixture
def screenshot(request: pytest.FixtureRequest) -> Callable[..., None]:
    """Keeps a picture of a page where $GEOSTREAM_ARTIFACTS says."""
    folder = os.environ.get("GEOSTREAM_ARTIFACTS")

    def take(page: WatchedPage, name: str) -> None:
        if folder:
            Path(folder).mkdir(parents=True, exist_ok=True)
            page.page.screenshot(path=str(Path(folder) / f"{name}.png"))

    return take


@pytest.fixture
def documented() -> Callable[..., None]:
    """Keeps a picture of a page for the documentation, in a folder of the one that $GEOSTREAM_SCREENSHOTS says (`make screenshots`)."""
    root = os.environ.get("GEOSTREAM_SCREENSHOTS")

    def take(page: WatchedPage, name: str, folder: str = "operating", quality: int = 70) -> None:
        if root:
            (Path(root) / folder).mkdir(parents=True, exist_ok=True)
            page.page.screenshot(path=str(Path(root) / folder / f"{name}.jpg"), type="jpeg", quality=quality, scale="css")

    return take
