"""Permissions of the API's methods."""

from __future__ import annotations

from typing import Any

from django.urls import reverse
from rest_framework.permissions import SAFE_METHODS, BasePermission
from rest_framework.request import Request

from streaming.core.errors import StreamError
from streaming.features.muting import muted

ADD_LAYER, CHANGE_LAYER, DELETE_LAYER = "streaming.add_layer", "streaming.change_layer", "streaming.delete_layer"
ADD_TILESET, CHANGE_TILESET, DELETE_TILESET = "streaming.add_tileset", "streaming.change_tileset", "streaming.delete_tileset"


class NeededPermission(BasePermission):
    """Allows a method to users with the permission that the view's `needs` names.

    "" stands for any user who is logged in. Publishers that are muted are refused.
    """

    def has_permission(self, request: Request, view: Any) -> bool:
        """True, or `StreamError` with what is missing."""
        needed = view.needs.get(request.method)
        if needed is not None:
            require(request.user, needed)
            if view.publishes and request.method not in SAFE_METHODS:
                muted.check(request.user, request.auth)
        return True


def require(user: Any, permission: str) -> None:
    """`StreamError("unauthenticated")` or `forbidden` unless the user has the permission."""
    if not user.is_authenticated:
        raise StreamError(
            "unauthenticated",
            f"this needs a logged-in user: send a token of {reverse('streaming:token')}/ as 'Authorization: Bearer <token>'",
        )
    if permission and not user.has_perm(permission):
        raise StreamError("forbidden", f"this needs the permission {permission}")
