"""Paths under /api/ where nothing is."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework.exceptions import NotFound

from .base import ApiView


@extend_schema(exclude=True)
class NowhereView(ApiView):
    """404 in the shape of all refusals, whatever the method."""

    def initial(self, request: Any, *args: Any, **kwargs: Any) -> None:
        """Refuse."""
        raise NotFound(f"there is nothing at {request.path[:200]}; see /api/docs/")
