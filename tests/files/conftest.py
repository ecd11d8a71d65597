"""What tests of files share: a folder of the test's own, open to anybody, and clients of it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any, cast

import pytest
from channels.db import database_sync_to_async
from django.contrib.auth.models import Permission, User
from rest_framework_simplejwt.tokens import AccessToken

from streaming.engine.runtime import Runtime
from streaming.files.folder import Folder
from streaming.files.service import FilesService

from .http_peer import HttpPeer


@pytest.fixture
def root(settings: Any, tmp_path: Path) -> Path:
    """The folder, which anybody may change; nobody watches it."""
    settings.GEOSTREAM_FILES_ROOT = str(tmp_path / "files")
    settings.GEOSTREAM_FILES_ANONYMOUS = "*=list read write delete"
    settings.GEOSTREAM_FILES_WATCH = False
    settings.GEOSTREAM_FILES_FREE_BYTES = 0
    settings.GEOSTREAM_FILES_DURABLE = False
    return tmp_path / "files"


@pytest.fixture
async def service(root: Path, runtime: Runtime) -> FilesService:
    return runtime.service(FilesService)


@pytest.fixture
async def folder(service: FilesService) -> AsyncIterator[Folder]:
    yield await service.folder()


@pytest.fixture
async def http(folder: Folder) -> HttpPeer:
    """Anybody."""
    return HttpPeer()


@pytest.fixture
def user_with(transactional_db: None) -> Callable[..., Awaitable[HttpPeer]]:
    """Makes clients of users with some of the rights, and perhaps a token that is limited."""

    @database_sync_to_async
    def make(*rights: str, limits: Any = None) -> HttpPeer:
        user = User.objects.create_user(f"user{User.objects.count()}", password="secret")
        user.user_permissions.set(Permission.objects.filter(codename__in=[f"{right}_files" for right in rights]))
        token = AccessToken.for_user(user)
        if limits is not None:
            token["limits"] = limits
        return HttpPeer({"authorization": f"Bearer {token}"})

    return cast(Callable[..., Awaitable[HttpPeer]], make)
