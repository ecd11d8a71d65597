"""What staff do with a layer in the admin, and what the log has of it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.test import Client

from streaming.core.errors import StreamError
from streaming.core.feed import Feed
from streaming.features.layers import catalogue
from streaming.features.muting import muted
from streaming.features.publishing import publish
from streaming.features.renaming import rename_layer
from streaming.models import Layer
from tests.geo_peer import point

pytestmark = pytest.mark.usefixtures("redis", "transactional_db")


@pytest.fixture
def staff() -> Client:
    client, user = Client(), User.objects.create_user("olga", is_staff=True)
    user.user_permissions.add(Permission.objects.get(codename="change_layer"))
    client.force_login(user)
    publish("fleet", [point("a", 1, 1), point("b", 2, 2)])
    return client


def sent(client: Client, path: str, **form: Any) -> str:
    """The page after a form was sent."""
    answer: Any = client.post(f"/admin/layers/{path}", form, follow=True)
    assert answer.status_code == 200
    return str(answer.content.decode())


def logged() -> list[str]:
    return [entry.change_message for entry in LogEntry.objects.order_by("pk")]


def test_the_pages_show_layers_and_what_is_in_them(staff: Client) -> None:
    assert 'href="/admin/layers/fleet/"' in staff.get("/admin/layers/").content.decode()
    page = staff.get("/admin/layers/fleet/").content.decode()
    assert "Remove <b>2</b> features for <b>0</b> subscribers" in page


def test_a_feature_is_published(staff: Client) -> None:
    assert "1 added" in sent(staff, "fleet/publish/", geojson=json.dumps(point("c", 3, 3)))
    assert Feed("layer:fleet").get_sync('"c"') is not None
    assert logged() == ["Published to fleet: 1 added, 0 updated, 0 unchanged"]


@pytest.mark.parametrize("text", ["{", "[]", '{"type": "Feature", "id": "c"}', "7", pytest.param('{"a":' * 5000, id="deep")])
def test_what_is_no_feature_is_refused_and_not_logged(staff: Client, text: str) -> None:
    assert "(invalid_feature)" in sent(staff, "fleet/publish/", geojson=text)
    assert logged() == []


def test_a_layer_is_emptied(staff: Client) -> None:
    assert "2 features removed" in sent(staff, "fleet/empty/")
    assert Feed("layer:fleet").count_sync() == 0
    assert logged() == ["Emptied fleet: 2 features removed"]


def test_a_layer_is_renamed_with_features_and_log(staff: Client) -> None:
    before = Feed("layer:fleet").read_sync()
    assert "Renamed fleet to ships" in sent(staff, "fleet/rename/", name="ships")
    after = Feed("layer:ships").read_sync()
    assert (after.cursor, {*after.stored}) == (before.cursor, {*before.stored})
    assert Feed("layer:fleet").count_sync() == 0
    assert [layer.name for layer in Layer.objects.all()] == ["ships"]
    with pytest.raises(StreamError):
        catalogue.get_sync("fleet")


@pytest.mark.parametrize(("name", "code"), [("taken", "exists"), ("a b", "bad_request"), ("", "bad_request")])
def test_a_name_that_cannot_be_is_refused(staff: Client, name: str, code: str) -> None:
    Layer.objects.create(name="taken")
    assert f"({code})" in sent(staff, "fleet/rename/", name=name)
    assert Feed("layer:fleet").count_sync() == 2


def test_of_two_who_rename_a_layer_at_once_one_does(staff: Client) -> None:
    layer, same = Layer.objects.get(name="fleet"), Layer.objects.get(name="fleet")
    rename_layer(layer, "ships")
    with pytest.raises(StreamError, match="somebody else has just renamed") as refused:
        rename_layer(same, "boats")
    assert (refused.value.code, same.name) == ("unknown_layer", "fleet")
    assert [layer.name for layer in Layer.objects.all()] == ["ships"]
    assert Feed("layer:ships").count_sync() == 2


def test_of_two_layers_that_are_given_one_name_at_once_one_has_it(staff: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Layer, "full_clean", lambda layer: Layer.objects.create(name="ships"))  # somebody else's, after the look
    with pytest.raises(StreamError) as refused:
        rename_layer(layer := Layer.objects.get(name="fleet"), "ships")
    assert (refused.value.code, layer.name) == ("exists", "fleet")
    assert Feed("layer:fleet").count_sync() == 2


def test_nothing_is_renamed_while_redis_is_away(staff: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*names: str) -> None:
        raise StreamError("redis_unavailable", "Redis does not answer")

    monkeypatch.setattr("streaming.features.renaming._move", away)
    layer = Layer.objects.get(name="fleet")
    with pytest.raises(StreamError):
        rename_layer(layer, "ships")
    assert Layer.objects.filter(name="fleet").exists()
    assert layer.name == "fleet"


def test_a_publisher_is_muted_and_listed(staff: Client) -> None:
    page = sent(staff, "-/mute/", publisher="user:bob", minutes="5", rate="0", reason="too loud")
    assert "user:bob" in page and "too loud" in page
    assert logged()[0].startswith("Muted user:bob until ")
    assert "Nobody is muted" in sent(staff, "-/mute/", publisher="user:bob", lift="1")
    assert muted.all() == []


@pytest.mark.parametrize(
    "form", [{"publisher": "bob"}, {"publisher": "user:bob", "minutes": "x"}, {"publisher": "user:bob", "minutes": "0"}]
)
def test_an_order_that_means_nothing_is_refused(staff: Client, form: dict[str, str]) -> None:
    assert "(bad_request)" in sent(staff, "-/mute/", **form)
    assert logged() == []


@pytest.mark.parametrize(
    ("path", "form"),
    [
        ("-/mute/", {"publisher": "user:bob", "minutes": "5", "reason": "a\0b"}),
        ("-/mute/", {"publisher": "user:b\0b", "minutes": "5"}),
        ("fleet/rename/", {"name": "a\0b"}),
        ("a%00b/empty/", {}),
    ],
)
def test_what_databases_cannot_store_is_refused_before_anything_is_done(staff: Client, path: str, form: dict[str, str]) -> None:
    assert staff.post(f"/admin/layers/{path}", form).status_code == 400
    assert muted.all() == []
    assert logged() == []


def test_nor_is_it_searched_for(staff: Client) -> None:
    assert staff.get("/admin/layers/", {"q": "a\0b"}).status_code == 400


def test_they_are_for_those_who_may_change_layers() -> None:
    client = Client()
    client.force_login(User.objects.create_user("nobody", is_staff=True))
    assert client.get("/admin/layers/").status_code == 403
    assert client.post("/admin/layers/fleet/empty/").status_code == 403


def test_before_a_layer_is_deleted_its_features_and_subscribers_are_counted(admin_client: Client) -> None:
    publish("fleet", [point("a", 1, 1), point("b", 2, 2)])
    layer = Layer.objects.get(name="fleet")
    page = admin_client.get(f"/admin/streaming/layer/{layer.pk}/delete/").content.decode()
    assert "Features: 2" in page and "Subscribers: 0" in page
