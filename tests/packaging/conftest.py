"""The wheels, each built once, and virtual environments that have them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from streaming.server.embedded_redis import RedisService, start_redis
from tests.browser.conftest import chromium, contexts, new_context, open_map, open_page
from tests.made_once import made_once

from .environment import ROOT, Environment, build_wheel, make_environment

__all__ = ["chromium", "contexts", "new_context", "open_map", "open_page"]

HERE = Path(__file__).parent
SECONDS = 180
"""A test may have to wait for its environment first."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.parent == HERE:
            item.add_marker(pytest.mark.timeout(SECONDS))


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel `geostream`."""
    (wheel,) = made_once(tmp_path_factory, "wheel", lambda folder: build_wheel(ROOT, folder)).glob("*.whl")
    return wheel


@pytest.fixture(scope="session")
def client_wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel `geostream-client`."""
    source = ROOT / "streaming" / "client"
    (wheel,) = made_once(tmp_path_factory, "client-wheel", lambda folder: build_wheel(source, folder)).glob("*.whl")
    return wheel


@pytest.fixture(scope="session")
def host(tmp_path_factory: pytest.TempPathFactory, wheel: Path) -> Environment:
    """An environment after `pip install geostream`, without extras."""
    return Environment(made_once(tmp_path_factory, "host", lambda folder: make_environment(folder / "venv", wheel)) / "venv")


@pytest.fixture(scope="session")
def elsewhere(tmp_path_factory: pytest.TempPathFactory, client_wheel: Path) -> Environment:
    """An environment after `pip install geostream-client`."""
    return Environment(made_once(tmp_path_factory, "elsewhere", lambda folder: make_environment(folder / "venv", client_wheel)) / "venv")


@pytest.fixture(scope="module")
def module_redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisService]:
    with start_redis(tmp_path_factory.mktemp("redis")) as service:
        yield service
