"""What a test leaves in the database is gone before the next one, and what migrations have made is there."""

from __future__ import annotations

import pytest
from django.apps import apps
from django.contrib.auth.models import Group, Permission, User
from django.contrib.contenttypes.models import ContentType
from django.test import TransactionTestCase

from streaming.models import Layer

pytestmark = pytest.mark.django_db(transaction=True)


def flush() -> dict[str, int]:
    """Empty the database, as happens after each test; what is left in it."""
    TransactionTestCase("__init__")._fixture_teardown()  # type: ignore[attr-defined]
    counts = {model.__name__: model._default_manager.count() for model in apps.get_models(include_auto_created=True)}
    return {name: count for name, count in counts.items() if count}


def codenames() -> set[tuple[str, str]]:
    return set(Permission.objects.values_list("content_type__app_label", "codename"))


def test_only_types_of_content_and_permissions_are_left() -> None:
    before, kinds = codenames(), ContentType.objects.count()
    group = Group.objects.create(name="editors")
    group.permissions.set(Permission.objects.all())
    group.user_set.add(User.objects.create_user("alice"))
    Permission.objects.create(codename="fleet", content_type=ContentType.objects.get_for_model(Layer))
    Layer.objects.create(name="l")
    assert flush() == {"Permission": len(before), "ContentType": kinds}
    assert codenames() == before


def test_what_a_test_has_removed_of_those_is_there_again() -> None:
    before, kinds = codenames(), ContentType.objects.count()
    Permission.objects.filter(codename="view_layer").delete()
    ContentType.objects.get_for_model(User).delete()
    assert flush() == {"Permission": len(before), "ContentType": kinds}
    assert codenames() == before
    User.objects.create_user("bob").user_permissions.add(Permission.objects.get(codename="view_layer"))
    assert flush() == {"Permission": len(before), "ContentType": kinds}
