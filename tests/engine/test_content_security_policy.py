"""The Content-Security-Policy of pages: which responses have it, and what settings add."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from django.http import HttpRequest, HttpResponse
from django.test import RequestFactory
from django.urls import ResolverMatch

from streaming.engine.content_security_policy import HEADER, ContentSecurityPolicy, allow

ROOT = Path(__file__).parents[2]


def request() -> HttpRequest:
    """One that a view has answered."""
    found = RequestFactory().get("/", headers={"host": "testserver"})
    found.resolver_match = ResolverMatch(lambda: None, (), {})
    return found


def header(response: HttpResponse, about: HttpRequest | None = None) -> str | None:
    """The policy of a response."""
    answer: Any = ContentSecurityPolicy(lambda _: response)(about or request())
    value: str | None = answer.headers.get(HEADER)
    return value


def sources(directive: str, response: HttpResponse | None = None) -> list[str]:
    """What a page may."""
    policy = header(response or HttpResponse("<p>"))
    assert policy is not None
    (found,) = (each.split()[1:] for each in policy.split("; ") if each.split()[0] == directive)
    return found


def test_a_page_runs_and_loads_what_is_of_this_site() -> None:
    assert sources("script-src") == sources("style-src") == sources("default-src") == ["'self'"]
    assert sources("connect-src") == ["'self'", "ws://testserver", "wss://testserver"]
    assert sources("frame-ancestors") == sources("object-src") == sources("base-uri") == ["'none'"]


async def test_a_page_has_it_in_an_asynchronous_stack_too() -> None:
    async def respond(_: HttpRequest) -> HttpResponse:
        return HttpResponse("<p>")

    answer: Any = await ContentSecurityPolicy(respond)(request())  # type: ignore[misc]
    assert HEADER in answer.headers


def test_a_view_adds_to_what_others_have() -> None:
    response = HttpResponse("<p>")
    allow(response, "script-src", "https://a.example/b.js")
    allow(response, "worker-src", "blob:")
    assert sources("script-src", response) == ["'self'", "https://a.example/b.js"]
    assert sources("worker-src", response) == ["'self'", "blob:"]


def test_what_is_no_page_has_none() -> None:
    assert header(HttpResponse("{}", content_type="application/json")) is None


def test_a_view_that_has_a_policy_keeps_it() -> None:
    assert header(HttpResponse("<p>", headers={HEADER: "sandbox"})) == "sandbox"


def test_a_view_may_allow_its_page_more() -> None:
    response = HttpResponse("<p>")
    allow(response, "style-src", "'sha256-abc'")
    assert sources("style-src", response) == ["'self'", "'sha256-abc'"]


def test_origins_for_data_load_no_scripts(settings: Any) -> None:
    settings.GEOSTREAM_PAGE_ORIGINS = "https://tiles.example.org, https://fonts.example.org"
    for directive in ("img-src", "connect-src", "font-src", "style-src"):
        assert {"https://tiles.example.org", "https://fonts.example.org"} <= set(sources(directive))
    assert sources("script-src") == ["'self'"]


def test_pages_of_other_sites_may_show_ours_in_a_frame_where_that_is_set(settings: Any) -> None:
    settings.GEOSTREAM_FRAME_ANCESTORS = "https://portal.example.org"
    assert sources("frame-ancestors") == ["https://portal.example.org"]


def test_static_files_may_be_on_another_host(settings: Any) -> None:
    settings.STATIC_URL = "https://cdn.example.org/static/"
    assert sources("script-src") == sources("style-src") == ["'self'", "https://cdn.example.org"]


def test_a_part_names_the_addresses_that_its_pages_load_from(settings: Any) -> None:
    settings.GEOSTREAM_PROCESS_URL = "https://maps.example.org/ogc"
    assert "https://maps.example.org" in sources("connect-src")


def test_a_request_of_a_wrong_host_is_left_to_django() -> None:
    about = RequestFactory().get("/", headers={"host": "evil.example.org"})
    about.resolver_match = ResolverMatch(lambda: None, (), {})
    policy = header(HttpResponse("<p>", status=400), about)
    assert policy is not None and "evil" not in policy


@pytest.mark.parametrize("status", [404, 500])
def test_djangos_pages_for_developers_have_what_is_inline(settings: Any, status: int) -> None:
    about = RequestFactory().get("/")
    for debug in (True, False):
        settings.DEBUG = debug
        assert (header(HttpResponse("<p>", status=status), about) is None) is debug


def test_our_own_pages_about_errors_have_it_in_debug_mode(settings: Any) -> None:
    settings.DEBUG = True
    assert header(HttpResponse("<p>", status=404)) is not None


def test_nothing_that_we_write_has_markup_that_it_drops() -> None:
    """Styles and handlers that are inline: pages that no test opens in a browser would go without them."""
    files = (path for folder in ("templates", "streaming", "processes") for path in (ROOT / folder).rglob("*"))
    sources = [path for path in files if path.suffix in (".html", ".py")]
    inline = re.compile(r"""<style|<script>|<[a-z]+[^<>]* (?:style|on[a-z]+)=["']""")
    assert len(sources) > 300
    assert [str(path) for path in sources if inline.search(path.read_text())] == []
