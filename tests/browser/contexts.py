"""Browser contexts that are used again, because what has been loaded is still in their cache: to open the map costs a third less."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from playwright.sync_api import Browser, BrowserContext

DESKTOP = {"width": 1280, "height": 800}
USUAL: dict[str, Any] = {"viewport": DESKTOP, "color_scheme": "dark", "reduced_motion": "reduce"}
"""Of a context. What moves has every frame drawn; the tests that are about it have `reduced_motion="no-preference"`."""


class Contexts:
    """Lends the contexts of a browser, each to one test at a time, and takes out everything that a test has left in one but its cache.

    Init scripts cannot be taken out: a test gives them to its page, not to the context. What the server lets a browser keep without asking
    again are static files and texts whose address changes with them.
    """

    def __init__(self, browser: Browser) -> None:
        self._browser = browser
        self._free: defaultdict[str, list[BrowserContext]] = defaultdict(list)

    @contextmanager
    def lend(self, **options: Any) -> Iterator[BrowserContext]:
        """A context with the usual options and these; of a `storage_state`, it has the cookies."""
        options = {**USUAL, **options}
        state = options.pop("storage_state", {"cookies": []})
        free = self._free[repr(sorted(options.items()))]
        context = free.pop() if free else self._browser.new_context(**options)
        context.add_cookies(state["cookies"])
        yield context
        clear(context)
        free.append(context)


def clear(context: BrowserContext) -> None:
    """Close the pages, and forget the cookies, what was stored, service workers, permissions and routes."""
    last, *others = context.pages or [context.new_page()]
    for page in others:
        page.close()
    last.goto("about:blank")  # so that nothing is stored any more
    session = context.new_cdp_session(last)
    session.send("Storage.clearDataForOrigin", {"origin": "*", "storageTypes": "all"})
    last.close()
    context.clear_cookies()
    context.clear_permissions()
    context.unroute_all()
