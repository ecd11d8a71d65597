"""Pages of operators: declared by a part, they are in the admin's navigation, for those who may see them."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client

pytestmark = pytest.mark.django_db


def signed_in(**more: bool) -> tuple[Client, User]:
    client, user = Client(), User.objects.create_user("olga", is_staff=True, **more)
    client.force_login(user)
    return client, user


def test_the_navigation_leads_to_each_page() -> None:
    client, _ = signed_in(is_superuser=True)
    page = client.get("/admin/").content.decode()
    assert '<a href="/admin/live/"' in page
    assert '<a href="/admin/streaming/filechange/folder/"' in page


def test_a_page_marks_itself_in_the_navigation() -> None:
    client, _ = signed_in()
    assert 'aria-current="page">Live</a>' in client.get("/admin/live/").content.decode()


def test_who_lacks_the_permission_sees_no_link() -> None:
    client, user = signed_in()
    assert "filechange/folder" not in client.get("/admin/").content.decode()
    user.user_permissions.add(Permission.objects.get(codename="list_files"))
    assert "filechange/folder" in client.get("/admin/").content.decode()


def test_who_is_not_staff_is_sent_to_the_login() -> None:
    assert Client().get("/admin/live/").url == "/admin/login/?next=/admin/live/"  # type: ignore[attr-defined]


def test_the_former_address_leads_there() -> None:
    assert Client().get("/admin/operators/").url == "/admin/live/"  # type: ignore[attr-defined]
