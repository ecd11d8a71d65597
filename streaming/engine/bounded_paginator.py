"""Pages of long lists in the admin: to count a million rows takes longer than to show some of them."""

from __future__ import annotations

from typing import Any

from django.core.paginator import Paginator
from django.utils.functional import cached_property

MOST_COUNTED = 10_000
"""Rows that a list counts and leads to; what is behind them is found by its filters."""


class BoundedPaginator(Paginator):  # type: ignore[type-arg]  # generic only in the stubs
    """Pages of the first rows of a long list."""

    @cached_property
    def count(self) -> int:
        """How many rows, as far as they are counted."""
        rows: Any = self.object_list
        return int(rows.order_by()[:MOST_COUNTED].count())
