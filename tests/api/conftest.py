"""Clients of the API: nobody, the superuser, and users with chosen permissions, over HTTP requests that never leave the process."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from rest_framework.test import APIClient
from rest_framework_simplejwt.tokens import AccessToken

from streaming.api.authentication import user_cache
from streaming.features.publishing import publish
from tests.geo_peer import point


def with_token(user: User) -> APIClient:
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {AccessToken.for_user(user)}")
    return client


@pytest.fixture(autouse=True)
def engine(transactional_db: None, redis: None) -> None:
    """The database (shared between threads: views run in several) and an empty Redis."""
    user_cache.clear()


@pytest.fixture
def nobody() -> APIClient:
    return APIClient()


@pytest.fixture
def admin() -> APIClient:
    return with_token(User.objects.create_superuser("admin", password="admin"))


@pytest.fixture
def user_with() -> Callable[..., APIClient]:
    """Makes clients of users with some of the permissions of the app `streaming`."""

    def make(*codenames: str) -> APIClient:
        user = User.objects.create_user(f"user{User.objects.count()}", password="secret")
        user.user_permissions.set(Permission.objects.filter(content_type__app_label="streaming", codename__in=codenames))
        return with_token(user)

    return make


@pytest.fixture
def cities() -> list[dict[str, Any]]:
    """A published layer of four features."""
    features = [
        point("berlin", 13.4, 52.5, people=3_700_000, founded="1237-10-28T00:00:00Z"),
        point("lisbon", -9.1, 38.7, people=550_000, founded="1256-01-01T00:00:00Z"),
        point("paris", 2.35, 48.85, people=2_100_000, founded="0259-01-01T00:00:00Z"),
        point("suva", 178.4, -18.1, people=93_000, founded="1877-01-01T00:00:00Z"),
    ]
    publish("cities", features)
    return features
