"""The JavaScript client as the npm package `geostream-client`: built by Vite, in a page without a bundler, and in Node.js."""

from __future__ import annotations

import json
import mimetypes
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote, urlsplit

import pytest
from playwright.sync_api import BrowserContext, Route

from .. import processes
from ..npm.packed import ROOT, install, packed, run, tool
from ..server_process import ServerProcess
from .fleet import aircraft
from .map_page import WatchedPage

pytestmark = [pytest.mark.node, pytest.mark.long_form(only=True)]
APP = Path(__file__).parent.parent / "npm" / "app"
PACKED = {"format": "MessagePack", "compression": "Zstd"}
IN_NODE = """
import WebSocket from "ws";
import { GeoStreamClient } from "geostream-client";
const client = new GeoStreamClient(process.argv[1], { WebSocket, format: "MessagePack", compression: "Zstd" });
const flights = client.subscribeFeatures("flights");
await client.connect();
await flights.whenReady();
console.log(flights.get("f00").properties.callsign);
client.close();
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project that has the package, and what Vite makes of it in `dist`."""
    folder = tmp_path_factory.mktemp("app")
    tarball = packed(tmp_path_factory)
    shutil.copytree(APP, folder, dirs_exist_ok=True)
    install(folder, tarball)
    said = run(tool("node"), ROOT / "node_modules" / ".bin" / "vite", "build", "--base", "/app/", folder=folder)
    assert "warn" not in said.lower() and "(!)" not in said, said
    return folder


@pytest.fixture
def page(new_context: Callable[..., BrowserContext], project: Path) -> Iterator[WatchedPage]:
    """A page of a site that serves the application under `/app/`, and the installed packages under `/node_modules/`."""

    def serve(route: Route) -> None:
        path = urlsplit(route.request.url).path
        file = project / path.removeprefix("/") if path.startswith("/node_modules/") else project / "dist" / path.removeprefix("/app/")
        kind = "text/javascript" if file.suffix == ".mjs" else mimetypes.guess_type(file.name)[0]
        route.fulfill(path=file, content_type=kind)

    watched = WatchedPage(new_context().new_page())
    watched.page.route(re.compile("/(app|node_modules)/"), serve)
    yield watched
    watched.check()


def loaded(page: WatchedPage) -> list[str]:
    """The scripts of the application that the page has loaded."""
    names: list[str] = page.page.evaluate(
        "performance.getEntriesByType('resource').map(({name}) => name).filter((name) => name.endsWith('.js'))"
    )
    return names


@pytest.mark.parametrize("options", [{}, PACKED], ids=["json", "msgpack-zstd"])
def test_a_bundle_receives_what_is_published(flights: ServerProcess, page: WatchedPage, options: dict[str, str]) -> None:
    page.page.goto(f"{flights.url}/app/index.html?options={quote(json.dumps(options))}")
    page.wait("() => document.title.startsWith('added')")
    flights.publish("flights", aircraft("f00", 6.1, 46))
    page.wait("() => document.title === 'updated f00'")
    # The entry, and only if they are needed a chunk of each library.
    assert len(loaded(page)) == (3 if options else 1)


def test_a_page_with_an_import_map_receives_what_is_published(flights: ServerProcess, page: WatchedPage) -> None:
    documented = re.findall(r"^```html\n(.*?)^```", (ROOT / "docs" / "clients.md").read_text(), re.M | re.S)
    (example,) = (block for block in documented if "importmap" in block)
    blank = '<!doctype html><link rel="icon" href="data:,">'
    page.page.route("**/plain", lambda route: route.fulfill(content_type="text/html", body=blank + example))
    with page.page.expect_console_message(lambda message: message.text.startswith("added")):
        page.page.goto(f"{flights.url}/plain")
    with page.page.expect_console_message(lambda message: message.text == "updated f00"):
        flights.publish("flights", aircraft("f00", 6.1, 46))


def test_a_page_without_an_import_map_receives_what_is_published(flights: ServerProcess, page: WatchedPage) -> None:
    blank = '<!doctype html><link rel="icon" href="data:,">'
    page.page.route("**/plain", lambda route: route.fulfill(content_type="text/html", body=blank))
    page.page.goto(f"{flights.url}/plain")
    page.page.evaluate("""async () => {
        const {GeoStreamClient} = await import("/node_modules/geostream-client/geostream.js");
        const urls = {msgpack: "/node_modules/@msgpack/msgpack/dist.esm/index.mjs", fzstd: "/node_modules/fzstd/esm/index.mjs"};
        const client = new GeoStreamClient("/ws", {format: "MessagePack", compression: "Zstd", ...urls});
        window.flights = client.subscribeFeatures("flights");
        await client.connect();
        await flights.whenReady();
    }""")
    flights.publish("flights", aircraft("f00", 6.1, 46))
    page.wait("() => flights.get('f00').geometry.coordinates[0] === 6.1")


def test_node_receives_what_is_there(flights: ServerProcess, project: Path) -> None:
    node = tool("node", "ws")
    (project / "node_modules" / "ws").symlink_to(ROOT / "node_modules" / "ws")
    done = processes.run(node, "--input-type=module", "-e", IN_NODE, flights.ws_url, cwd=project, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "F00\n", "")
