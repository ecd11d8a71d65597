"""The pages of examples: what they show, to whom, and what they may load."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from streaming.models import Layer
from streaming.pages.examples import EXAMPLES, LibraryFile

from ..conftest import missing
from .test_views import config

ROOT = Path(__file__).parents[2]
FILES = [file for example in EXAMPLES.values() for file in (*example.scripts, *example.styles)]


@pytest.fixture
def layers(transactional_db: None, redis: None) -> Iterator[None]:
    """Two layers, of which anybody may read one."""
    Layer.objects.create(name="open", title="Open")
    Layer.objects.create(name="closed", public=False)
    yield


def sources(path: str, directive: str) -> str:
    """What a page may load."""
    policy = Client().get(path).headers["Content-Security-Policy"]
    return next((each for each in policy.split("; ") if each.startswith(directive)), "")


def test_the_index_leads_to_each(layers: None) -> None:
    page = Client().get("/examples/").content.decode()
    for library, example in EXAMPLES.items():
        assert f'href="/examples/{library}/"' in page and example.title in page
    assert sources("/examples/", "script-src") == "script-src 'self'"


@pytest.mark.parametrize(("query", "layer"), [("", "open"), ("?layer=open", "open"), ("?layer=closed", None), ("?layer=", None)])
def test_an_example_shows_a_layer_that_its_user_may_read(layers: None, query: str, layer: str | None) -> None:
    assert config(f"/examples/maplibre/{query}")["layer"] == layer


def test_an_example_that_is_not_there(layers: None) -> None:
    assert Client().get("/examples/cesium/").status_code == 404


def test_a_page_may_load_its_library_and_nothing_else(layers: None) -> None:
    (library,) = EXAMPLES["maplibre"].scripts
    assert sources("/examples/maplibre/", "script-src") == f"script-src 'self' https://cdn.jsdelivr.net/npm/{library.path}"
    assert sources("/examples/maplibre/", "worker-src") == "worker-src 'self' blob:"
    assert sources("/examples/openlayers/", "worker-src") == ""


def test_libraries_may_be_of_this_site(layers: None, settings: Any) -> None:
    settings.GEOSTREAM_EXAMPLE_LIBRARIES = "/npm/"
    assert sources("/examples/openlayers/", "script-src") == "script-src 'self'"
    assert '<script src="/npm/ol@' in Client().get("/examples/openlayers/").content.decode()


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.path)
def test_a_file_is_the_one_of_the_version_that_is_tested(file: LibraryFile) -> None:
    found = re.fullmatch(r"(@?[^@]+)@([^/]+)/(.+)", file.path)
    assert found is not None
    name, version, inner = found.groups()
    tested: dict[str, str] = json.loads((ROOT / "package.json").read_text())["devDependencies"]
    (folder,) = (each for each, wanted in tested.items() if wanted == f"npm:{name}@{version}" or (each, wanted) == (name, version))
    path = ROOT / "node_modules" / folder / inner
    if not path.is_file():
        missing("the map libraries (npm ci)")
    assert file.integrity == f"sha384-{base64.b64encode(hashlib.sha384(path.read_bytes()).digest()).decode()}"
