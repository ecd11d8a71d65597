"""The vectors of messages: what is read, and with which code the rest is refused."""

from __future__ import annotations

from typing import Any

import pytest

from streaming.dialects.file_sync.messages import ProtocolError, decode
from tests.files import strict_peer
from tests.files.vectors import VECTORS


@pytest.mark.parametrize("vector", VECTORS["messages"], ids=lambda vector: vector["name"])
def test_messages(vector: dict[str, Any]) -> None:
    if "error" not in vector:
        assert decode(vector["text"], depth=32)
        return
    with pytest.raises(ProtocolError) as refused:
        decode(vector["text"], depth=32)
    assert refused.value.code == vector["error"]


@pytest.mark.parametrize(
    "vector", [vector for vector in VECTORS["messages"] if vector["evidence"] in "SDT"], ids=lambda vector: vector["name"]
)
def test_the_strict_peer_is_as_strict(vector: dict[str, Any]) -> None:
    try:
        strict_peer.decode(vector["text"])
    except ValueError:
        assert "error" in vector
    else:
        assert "error" not in vector


@pytest.mark.parametrize("names", [("from", "to"), ("old_path", "new_path"), ("source", "destination")])
def test_the_ends_of_a_move_have_several_names(names: tuple[str, str]) -> None:
    source, target = names
    message = decode(f'{{"type":"FileOperation","operation":{{"Move":{{"{source}":"a","{target}":"b"}}}}}}', depth=32)
    assert (message.path, message.target, message.operation_id) == ("a", "b", "Move:a")  # type: ignore[union-attr]


@pytest.mark.parametrize("text", ["[" * 60_000, '{"type":' * 9000, '{"type":"Ping","a":' + "[" * 30_000 + "]" * 30_000 + "}"])
def test_deep_messages_are_refused(text: str) -> None:
    with pytest.raises(ProtocolError) as refused:
        decode(text, depth=32)
    assert refused.value.code == "json"
