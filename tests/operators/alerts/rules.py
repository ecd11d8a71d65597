"""Rules that are not stored, and metrics as processes leave them."""

from __future__ import annotations

from typing import Any

from streaming.engine.exposition import Families, Family
from streaming.models import AlertRule

LAG = "geostream_loop_lag_seconds"
CLOSED = "geostream_closed_total"


def rule(pk: int = 1, **changes: Any) -> AlertRule:
    return AlertRule(**{"pk": pk, "name": f"rule {pk}", "measure": LAG, "bound": 10, "for_seconds": 20, "clear_seconds": 30, **changes})


def gauge(node: str, value: float, name: str = LAG) -> Families:
    return [Family(name, "", "gauge", [(name, {"node": node}, value)])]


def closed(node: str, **codes: float) -> Families:
    return [Family("geostream_closed", "", "counter", [(CLOSED, {"node": node, "code": code}, value) for code, value in codes.items()])]
