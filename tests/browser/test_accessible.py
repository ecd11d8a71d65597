"""axe-core finds nothing on the pages, in light and dark. What no program finds, other tests look at: `test_looks.py`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import expect

from ..conftest import missing
from ..server_process import ServerProcess
from .map_page import MapPage, WatchedPage

AXE = Path(__file__).parents[2] / "node_modules" / "axe-core" / "axe.min.js"
PAGES = ("geostream/login/", "files/", "channels/test/?topic=room:1", "ogc/?f=html", "ogc/processes?f=html", "ogc/jobs?f=html")
RUN = """async () => {
  const {violations} = await axe.run(document, {resultTypes: ['violations']});
  const where = ({target, failureSummary}) => `  ${target} ${failureSummary}`;
  return violations.map(({id, help, nodes}) => [`${id}: ${help}`, ...nodes.map(where)].join('\\n'));
}"""


def faults(page: WatchedPage) -> str:
    if not AXE.is_file():
        missing("axe-core (npm ci)")
    page.page.evaluate(AXE.read_text())
    return "\n".join(page.page.evaluate(RUN))


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_map(flights: ServerProcess, open_map: Callable[..., MapPage], scheme: str) -> None:
    live = open_map(flights, "map=8/46.52/8.02", color_scheme=scheme)
    live.wait_until_drawn("f12")
    live.page.locator("#map").focus()
    live.page.keyboard.press("Enter")
    expect(live.page.locator("#card")).to_be_visible()
    assert not faults(live)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_other_pages(flights: ServerProcess, open_page: Callable[..., WatchedPage], scheme: str) -> None:
    page = open_page("about:blank", color_scheme=scheme)
    found = {}
    for path in PAGES:
        page.page.goto(f"{flights.url}/{path}", wait_until="load")
        found[path] = faults(page)
    assert not any(found.values()), "\n".join(f"{path}:\n{text}" for path, text in found.items() if text)
