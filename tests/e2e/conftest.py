"""Servers for clients that speak to them over real sockets."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.conftest import Serve
from tests.server_process import ServerProcess

from .channel_tokens import SECRET

ChannelServe = Callable[..., ServerProcess]


@pytest.fixture(scope="module")
def channel_serve(serve: Serve) -> ChannelServe:
    """Starts servers that know the key of the tests' channel tokens, with the topics `room:*` that the tests have."""

    def start(**options: str) -> ServerProcess:
        return serve(**{"GEOSTREAM_JWT_SECRET": SECRET, "GEOSTREAM_TOPICS": "tests.dialects.phoenix.topics", **options})

    return start


__all__ = ["ChannelServe", "Serve"]
