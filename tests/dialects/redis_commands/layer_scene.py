"""The layer `fleet`, and users who may read it."""

from __future__ import annotations

from typing import Any

from channels.db import database_sync_to_async
from django.contrib.auth.models import AnonymousUser, Permission, User

from streaming.features.layers import catalogue
from streaming.models import Layer

ANONYMOUS = AnonymousUser()


def feature(identity: str | int, x: float, y: float = 0.0) -> dict[str, Any]:
    return {"type": "Feature", "id": identity, "geometry": {"type": "Point", "coordinates": [x, y]}, "properties": None}


async def make_private() -> None:
    await database_sync_to_async(Layer.objects.filter(name="fleet").update)(public=False)
    catalogue.clear()


@database_sync_to_async
def reader() -> User:
    user = User.objects.create_user("reader")
    user.user_permissions.add(Permission.objects.get(codename="view_layer"))
    return user
