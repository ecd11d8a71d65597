"""Without the libraries of `django-geostream[tiles]`, what needs them is refused with a clear error, and nothing else is."""

from __future__ import annotations

import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from pathlib import Path

import pytest

from streaming.core.errors import StreamError
from streaming.tiles.optional import MissingLibrary, optional_libraries
from tests.hidden_modules import TILE_LIBRARIES, hiding
from tests.processes import manage, run, site_environment

pytestmark = pytest.mark.long_form(only=True)

INSTALL = "pip install 'django-geostream[tiles]'"


def test_a_missing_library_is_a_refusal_that_says_how_to_install_it() -> None:
    message = r"cannot read PMTiles \(No module named 'no_such_library'\): pip install 'django-geostream\[tiles\]'"
    with pytest.raises(StreamError, match=message) as caught, optional_libraries("PMTiles"):
        import_module("no_such_library")
    assert caught.type is MissingLibrary
    assert caught.value.code == "invalid_source"


def test_threads_may_import_a_library_at_the_same_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in rio-tiler, the package imports its module, and the module the package: two threads could get a half-made module."""
    package = tmp_path / "circular_library"
    package.mkdir()
    (package / "__init__.py").write_text(
        "import sys, time; sys.package_began.set(); sys.module_began.wait(0.5); time.sleep(0.1); from circular_library.part import value"
    )
    (package / "part.py").write_text("import sys; sys.module_began.set(); import circular_library; value = 1")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "package_began", package_began := threading.Event(), raising=False)
    monkeypatch.setattr(sys, "module_began", threading.Event(), raising=False)

    def import_it(name: str) -> None:
        with optional_libraries("anything"):
            import_module(name)

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(import_it, "circular_library")
        assert package_began.wait(10)
        second = pool.submit(import_it, "circular_library.part")
        assert (first.result(10), second.result(10)) == (None, None)


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment of a process without the libraries."""
    data, hidden = tmp_path_factory.mktemp("data"), tmp_path_factory.mktemp("hidden")
    return site_environment(data, **hiding(TILE_LIBRARIES, hidden))


def test_a_site_without_the_libraries_starts_and_finds_no_fault(environment: dict[str, str]) -> None:
    assert "no issues" in manage("check", env=environment).stdout
    program = f"import geostream.asgi, sys; sys.exit(bool(sys.modules.keys() & {set(TILE_LIBRARIES)!r}))"
    run(sys.executable, "-c", program, env=environment)


def test_the_demo_goes_on_without_imagery(environment: dict[str, str]) -> None:
    program = """
import django, threading
django.setup()
from streaming.management.demo_imagery import StripPainter
from streaming.tiles.paths import DEMO
from streaming.tiles.tilesets import TilesetSettings

StripPainter(TilesetSettings("relief", "", "raster", ()), DEMO / "relief.tif", "").run(threading.Event())
"""
    assert INSTALL in run(sys.executable, "-c", program, env=environment).stderr
