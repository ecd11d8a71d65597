"""The browser is told at once of all modules that a page needs."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.staticfiles import finders
from django.test import Client

from streaming.pages.script_imports import preloaded

MAP = "streaming/map/main.js"


def test_modules_of_modules_are_among_them_once_each() -> None:
    found = preloaded(MAP)
    assert {"/static/streaming/map/live.js", "/static/streaming/geostream.js", "/static/streaming/client/link.js"} < set(found)
    assert len(found) == len(set(found))


def test_each_is_a_file() -> None:
    assert all(finders.find(address.removeprefix("/static/")) for address in preloaded(MAP))


def test_they_are_where_static_files_are(settings: Any) -> None:
    settings.STATIC_URL = "https://files.example/of/us/"
    assert "https://files.example/of/us/streaming/geostream.js" in preloaded(MAP)


@pytest.mark.django_db
def test_the_map_names_them(client: Client) -> None:
    page = client.get("/").content.decode()
    assert page.count('<link rel="modulepreload" href="/static/streaming/') == len(preloaded(MAP))
