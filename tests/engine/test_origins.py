"""Which pages may open WebSockets."""

from __future__ import annotations

from typing import Any

import pytest

from streaming.core.errors import StreamError
from streaming.engine.auth import check_origin


@pytest.mark.parametrize("host", ["127.0.0.1:8000", "localhost:8000", "maps.localhost", "[::1]:8000"])
def test_a_new_project_has_the_names_of_its_machine(settings: Any, host: str) -> None:
    settings.DEBUG, settings.ALLOWED_HOSTS = True, []
    check_origin(f"http://{host}", host)


@pytest.mark.parametrize(("debug", "hosts"), [(False, []), (True, ["maps.example.org"])])
def test_these_names_are_for_nothing_else(settings: Any, debug: bool, hosts: list[str]) -> None:
    settings.DEBUG, settings.ALLOWED_HOSTS = debug, hosts
    with pytest.raises(StreamError, match=r"127\.0\.0\.1:8000 is not a name of this server"):
        check_origin("http://127.0.0.1:8000", "127.0.0.1:8000")


def test_other_names_are_not_those_of_a_new_project(settings: Any) -> None:
    settings.DEBUG, settings.ALLOWED_HOSTS = True, []
    with pytest.raises(StreamError, match="is not a name of this server"):
        check_origin("http://evil.example.org", "evil.example.org")
