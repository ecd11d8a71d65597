"""One site for each module."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import Serve

from .site import QUICK, Site


@pytest.fixture(scope="module")
def one_server(serve: Serve, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    site = Site([serve(**QUICK)], tmp_path_factory.mktemp("site"))
    yield site
    site.end()


@pytest.fixture
def site(one_server: Site) -> Iterator[Site]:
    """The module's site, without workers and jobs."""
    yield one_server
    one_server.reset()


__all__ = ["Path"]
