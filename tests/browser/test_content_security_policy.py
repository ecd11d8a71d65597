"""The map needs nothing but its own origin: no inline script, no inline style, no eval."""

from __future__ import annotations

from collections.abc import Callable

from playwright.sync_api import BrowserContext, Route, expect

from ..server_process import ServerProcess
from .fleet import fleet
from .map_page import MapPage

POLICY = "default-src 'self'; img-src 'self' data:; style-src 'self'; script-src 'self'; connect-src 'self' ws:"
REMEMBER = (
    "addEventListener('securitypolicyviolation', ({blockedURI, violatedDirective}) => (window.violation = violatedDirective + blockedURI))"
)


def test_the_map_is_live_under_a_strict_content_security_policy(flights: ServerProcess, new_context: Callable[..., BrowserContext]) -> None:
    def protect(route: Route) -> None:
        answer = route.fetch()
        route.fulfill(response=answer, headers={**answer.headers, "content-security-policy": POLICY})

    live = MapPage(new_context().new_page())
    live.page.route(lambda url: url.split("#")[0] == f"{flights.url}/", protect)
    live.page.add_init_script(REMEMBER)
    live.open(f"{flights.url}/#map=7.5/46.8/8.0")

    flights.publish("flights", *fleet(step=2))
    live.wait("() => geostream.subscriptions.flights.get('f00').geometry.coordinates[0] === 6.04")
    live.wait_for(lambda: live.ink() > 0)
    live.draw_box((7.5, 45.8, 9.5, 46.7))
    live.page.mouse.click(*live.where(8.04, 46.0))
    expect(live.page.locator("#card [data-title]")).to_have_text("F02")
    live.by_id("theme-toggle").click()
    assert live.page.evaluate("window.violation") is None
    live.check()
