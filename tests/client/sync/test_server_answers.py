"""What a server says is not believed: addresses, paths, metadata, announcements."""

from __future__ import annotations

from typing import Any

import pytest

from streaming.client.sync.addresses import api_url, socket_url
from streaming.client.sync.announcements import Announced, announced
from streaming.client.sync.errors import UsageError
from streaming.client.sync.plan import Content
from streaming.client.sync.remote import content_of
from tests.files.vectors import VECTORS

METADATA = {"path": "a/b.tif", "size": 6, "hash": "5" * 64, "modified": "2024-01-15T10:30:00Z", "is_directory": False}
CONTENT = Content("5" * 64, 6, modified_ns=1_705_314_600_000_000_000)


@pytest.mark.parametrize("vector", VECTORS["server_urls"], ids=lambda vector: vector["server"])
def test_the_address_of_a_server_becomes_that_of_its_socket(vector: dict[str, Any]) -> None:
    if vector["ws"] is None:
        with pytest.raises(UsageError):
            socket_url(vector["server"], "/ws")
    else:
        assert socket_url(vector["server"], "/ws") == vector["ws"]


@pytest.mark.parametrize("server", ["https://example.org/hub/", "wss://example.org/hub/ws/files", "https://example.org/hub"])
def test_the_requests_go_to_the_same_server(server: str) -> None:
    assert (api_url(server), socket_url(server)) == ("https://example.org/hub/api/files", "wss://example.org/hub/ws/files")


def test_metadata_is_read() -> None:
    assert content_of(METADATA) == ("a/b.tif", CONTENT)
    folder = {**METADATA, "is_directory": True, "hash": "", "size": 0}
    assert content_of(folder) == ("a/b.tif", Content("", is_directory=True))


@pytest.mark.parametrize(
    "wrong",
    [
        *(
            {"path": path}
            for path in ("../x", "/etc/passwd", "a/../../x", "C:/x", "a\\b", ".hub-trash/x", "a\u0000", "", 7, None, "e\u0301")
        ),
        *({"size": size} for size in (-1, 1.5, "6", True, None)),
        *({"hash": text} for text in ("", "x" * 64, "5" * 63, None)),
        *({"modified": text} for text in ("yesterday", "2024-01-15T10:30:00", None)),
    ],
    ids=repr,
)
def test_metadata_that_breaks_a_rule_is_left_out(wrong: dict[str, Any]) -> None:
    assert content_of({**METADATA, **wrong}) is None


@pytest.mark.parametrize(
    ("operation", "metadata", "changes"),
    [
        ({"Create": {"metadata": METADATA}}, None, [Announced("a/b.tif", CONTENT)]),
        ({"Update": {"metadata": METADATA, "more": 1}}, None, [Announced("a/b.tif", CONTENT)]),
        ({"Delete": {"path": "x"}}, None, [Announced("x", None)]),
        ({"Delete": {"metadata": METADATA}}, None, [Announced("a/b.tif", None)]),
        ({"Move": {"from": "x", "to": "y"}}, METADATA, [Announced("x", None), Announced("y", CONTENT)]),
        ({"Delete": {"path": "../x"}}, None, []),
        ({"Update": {"metadata": {**METADATA, "path": "/etc/passwd"}}}, None, []),
    ],
)
def test_announcements_are_read(operation: Any, metadata: Any, changes: list[Announced]) -> None:
    assert announced(operation, metadata) == changes


@pytest.mark.parametrize(
    "operation", [None, [], {}, {"Copy": {}}, {"Create": 7}, {"Create": {}, "Delete": {}}, {"Move": {"from": "x", "to": "y"}}]
)
def test_what_is_not_understood_is_looked_at_in_the_list(operation: Any) -> None:
    assert announced(operation) is None
