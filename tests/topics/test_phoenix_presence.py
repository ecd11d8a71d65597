"""The reference that presence is judged by merges as the official client does."""

from __future__ import annotations

from typing import Any

import pytest

from tests.dialects.phoenix.vectors import PRESENCE

from .phoenix_presence import sync_diff, sync_state


@pytest.mark.parametrize("vector", PRESENCE, ids=lambda vector: vector["name"][:60])
def test_merging_is_as_recorded(vector: dict[str, Any]) -> None:
    called: list[Any] = []
    sync = sync_state if vector["op"] == "presence_state" else sync_diff
    assert sync(vector["state"], vector["payload"], lambda *call: called.append(list(call))) == vector["result"]
    assert called == vector["callbacks"]
