"""axe-core finds nothing on the pages, in light and dark. What no program finds, other tests look at: `test_looks.py`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import StorageState, expect

from ..conftest import missing
from ..profiles import only_long
from ..server_process import ServerProcess
from .map_page import MapPage, WatchedPage

AXE = Path(__file__).parents[2] / "node_modules" / "axe-core" / "axe.min.js"
PAGES = ("geostream/login/", "files/", "channels/test/?topic=room:1", "ogc/?f=html", "ogc/processes?f=html", "ogc/jobs?f=html")
OF_OPERATORS = ("", "live/", "connections/", "feeds/", "layers/", "layers/flights/", "streaming/layer/")
CONTRAST = "color-contrast"
"""The rule that a theme can break."""
RUN = """async (options) => {
  const {violations} = await axe.run(document, {resultTypes: ['violations'], ...options});
  const where = ({target, failureSummary}) => `  ${target} ${failureSummary}`;
  return violations.map(({id, help, nodes}) => [`${id}: ${help}`, ...nodes.map(where)].join('\\n'));
}"""


def faults(page: WatchedPage, **options: Any) -> str:
    if not AXE.is_file():
        missing("axe-core (npm ci)")
    page.page.evaluate(AXE.read_text())
    return "\n".join(page.page.evaluate(RUN, options))


SCHEMES = pytest.mark.parametrize(
    ("scheme", "options"), [pytest.param("light", {}, id="light"), only_long("dark", {"runOnly": [CONTRAST]}, id="dark")]
)
"""What is dark differs in its colours alone."""


@SCHEMES
def test_the_map(flights: ServerProcess, open_map: Callable[..., MapPage], scheme: str, options: dict[str, Any]) -> None:
    live = open_map(flights, "map=8/46.52/8.02", color_scheme=scheme)
    live.wait_until_drawn("f12")
    live.page.locator("#map").focus()
    live.page.keyboard.press("Enter")
    expect(live.page.locator("#card")).to_be_visible()
    assert not faults(live, **options)


@SCHEMES
def test_the_other_pages(flights: ServerProcess, open_page: Callable[..., WatchedPage], scheme: str, options: dict[str, Any]) -> None:
    page = open_page("about:blank", color_scheme=scheme)
    found = {}
    for path in PAGES:
        page.page.goto(f"{flights.url}/{path}", wait_until="load")
        found[path] = faults(page, **options)
    assert not any(found.values()), "\n".join(f"{path}:\n{text}" for path, text in found.items() if text)


@pytest.mark.long_form(only=True)
def test_the_pages_of_operators(flights: ServerProcess, open_page: Callable[..., WatchedPage], logged_in: StorageState) -> None:
    page = open_page("about:blank", storage_state=logged_in)
    found = {}
    for path in OF_OPERATORS:
        page.page.goto(f"{flights.url}/admin/{path}", wait_until="load")
        found[path] = faults(page, rules={CONTRAST: {"enabled": False}})  # the colours are those of Django's admin
    assert not any(found.values()), "\n".join(f"{path}:\n{text}" for path, text in found.items() if text)
