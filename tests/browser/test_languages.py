"""Pages in the language of the browser, and in another one that is chosen. Of what Django decides: `tests/pages/test_languages.py`."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from ..profiles import only_long
from ..server_process import ServerProcess
from .map_page import PHONE, MapPage, WatchedPage
from .test_accessible import faults

PAGES = ("geostream/login/", "files/", "channels/test/?topic=room:1", "examples/", "ogc/?f=html", "ogc/processes?f=html", "ogc/jobs?f=html")
TOO_WIDE = """(width) => [...document.querySelectorAll('a, button, summary, label, h1, h2, h3, dt, p, .badge, .status')]
  .filter((node) => node.checkVisibility({visibilityProperty: true}))
  .filter((node) => !node.closest('.pages, .scroll, .visually-hidden, .leaflet-container') && getComputedStyle(node).display !== 'inline')
  .filter((node) => node.getBoundingClientRect().right > width + 0.5 ||
      (getComputedStyle(node).overflowX === 'visible' && node.scrollWidth > node.clientWidth + 1))
  .map((node) => node.textContent.trim() || node.outerHTML)
  .concat([...document.querySelectorAll('.pages')].filter((node) => node.scrollWidth > node.clientWidth).map(() => 'the list of pages'))"""


def test_the_map_is_in_german_until_french_is_chosen_with_the_keyboard(flights: ServerProcess, open_map: Callable[..., MapPage]) -> None:
    live = open_map(flights, "map=7/46.8/8.0&layers=flights", locale="de-CH")
    root, page = live.page.locator("html"), live.page
    expect(root).to_have_attribute("lang", "de")
    expect(page.get_by_role("heading", name="Ereignisse")).to_be_visible()
    expect(page.locator("#panel-toggle")).to_have_attribute("aria-label", "Bedienfeld einklappen")  # by a script
    menu = page.locator(".language-menu summary")
    menu.focus()
    page.keyboard.press("Enter")
    assert not faults(live)
    page.keyboard.press("Escape")
    expect(menu).to_be_focused()
    page.keyboard.press("Enter")
    for _ in ("English", "Deutsch", "Français"):
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(root).to_have_attribute("lang", "fr")
    live.wait_until_live()
    expect(live.by_id("connection-state")).to_have_text("En direct")
    assert "map=7/46.8/8" in page.url and "layers=flights" in page.url and "lang" not in page.url


@pytest.mark.parametrize(("locale", "said", "files"), [("en-GB", "Connected", 0), only_long("es-ES", "Conectado", 1)])
def test_scripts_load_their_texts_as_one_file_and_none_in_english(
    flights: ServerProcess, open_page: Callable[..., WatchedPage], locale: str, said: str, files: int
) -> None:
    page = open_page(f"{flights.url}/channels/test/", locale=locale)
    expect(page.by_id("connection-state")).to_have_text(said)
    assert page.page.evaluate("performance.getEntriesByType('resource').filter(({name}) => name.includes('/texts/')).length") == files


@pytest.mark.long_form(only=True)
@pytest.mark.parametrize(("locale", "pages"), [("de-DE", PAGES), ("fr-FR", ()), ("es-ES", ())])
def test_nothing_is_too_wide_for_a_phone(
    flights: ServerProcess, open_map: Callable[..., MapPage], screenshot: Callable[..., None], locale: str, pages: tuple[str, ...]
) -> None:
    live = open_map(flights, locale=locale, **PHONE)
    live.page.locator("#panel-toggle").tap()
    found = {"": live.page.evaluate(TOO_WIDE, 390)}
    screenshot(live, f"map-{locale}")
    for path in pages:
        live.page.goto(f"{flights.url}/{path}", wait_until="load")
        found[path] = live.page.evaluate(TOO_WIDE, 390)
        screenshot(live, f"{path.strip('/').replace('/', '-').partition('?')[0]}-{locale}")
    assert not any(found.values()), found
