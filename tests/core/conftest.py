"""Feeds of the core without Django's layers, and a count of what was rung."""

from __future__ import annotations

import pytest

from streaming.core import feed as feed_module


@pytest.fixture
def rings(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """Doorbells rung by feeds, which reach nobody."""
    rung: list[tuple[str, int]] = []
    monkeypatch.setattr(feed_module, "ring", lambda feed, seq: rung.append((feed, seq)))
    return rung
