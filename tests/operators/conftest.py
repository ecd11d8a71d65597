"""Operators, as peers of Phoenix Channels."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from django.contrib.auth.models import Permission, User
from rest_framework_simplejwt.tokens import AccessToken

from streaming.engine.runtime import Runtime
from tests.dialects.phoenix.peer import PhoenixPeer

Open = Callable[..., Awaitable[PhoenixPeer]]


@pytest.fixture
async def open_peer(runtime: Runtime) -> AsyncIterator[Open]:
    """Connects, as a user if there is a name."""
    peers: list[PhoenixPeer] = []

    async def open_(name: str = "") -> PhoenixPeer:
        headers = []
        if name:
            token = AccessToken.for_user(await User.objects.aget(username=name))
            headers = [(b"authorization", f"Bearer {token}".encode())]
        peers.append(PhoenixPeer(headers=headers))
        return await peers[-1].connect()

    yield open_
    for peer in peers:
        await peer.close()


@pytest.fixture
async def root(open_peer: Open) -> PhoenixPeer:
    """A superuser."""
    await User.objects.acreate_superuser("root", password="secret")
    return await open_peer("root")


async def watcher(open_peer: Open, *permissions: str) -> PhoenixPeer:
    """Staff with some of the permissions, connected."""
    user = await User.objects.acreate_user("watcher", password="secret", is_staff=True)
    await user.user_permissions.aset([permission async for permission in Permission.objects.filter(codename__in=permissions)])
    return await open_peer("watcher")
