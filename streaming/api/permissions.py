"""Which permission a method needs, as a table in its view."""

from __future__ import annotations

from typing import Any

from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from streaming.core.errors import StreamError
from streaming.features.layers import LayerSettings

CHANGE, ADD, DELETE = "streaming.change_layer", "streaming.add_layer", "streaming.delete_layer"


class Needed(BasePermission):
    """Grants a method to users with the permission that the view's `needs` names; "" stands for any user who is logged in."""

    def has_permission(self, request: Request, view: Any) -> bool:
        """Refuses with an error of its own, which says what is missing."""
        needed = view.needs.get(request.method)
        if needed is not None:
            require(request.user, needed)
        return True


def require(user: Any, permission: str) -> None:
    """`StreamError("unauthenticated")` or `forbidden` unless the user has the permission."""
    if not user.is_authenticated:
        raise StreamError("unauthenticated", "this needs a logged-in user: send a token of /api/token/ as 'Authorization: Bearer <token>'")
    if permission and not user.has_perm(permission):
        raise StreamError("forbidden", f"this needs the permission {permission}")


def require_readable(layer: LayerSettings, user: Any) -> LayerSettings:
    """The layer, if the user may read it."""
    if not layer.readable_by(user):
        raise StreamError("forbidden" if user.is_authenticated else "unauthenticated", f"layer {layer.name!r} is not public")
    return layer
