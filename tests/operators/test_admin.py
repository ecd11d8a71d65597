"""The admin: every page renders, with and without Redis, and an operator can end a connection."""

from __future__ import annotations

import http.cookiejar
import json
import re
import sqlite3
import time
import urllib.parse
import urllib.request
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.test import Client
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from streaming.core.redis import sync_redis
from streaming.features.publishing import publish
from streaming.models import Connection, Layer, Node, Presence, Subscription
from tests.geo_peer import point
from tests.server_process import ServerProcess

from ..profiles import only_long

NOW = datetime(2026, 1, 1, tzinfo=UTC)
PAGES = ["layer", "node", "connection", "subscription", "presence"]


@pytest.fixture
def rows(transactional_db: None, redis: None) -> None:
    publish("ships", [point(i, 0, 0) for i in range(1234)])
    node = Node.objects.create(id="n1", host="earth", pid=7, started=NOW, seen=NOW)
    connection = Connection.objects.create(
        id="n1.1", node=node, dialect="geo", user="alice", address="192.0.2.1", since=NOW, queue_messages=77
    )
    Subscription.objects.create(
        id="n1.1/s",
        connection=connection,
        subscription_id="s",
        kind="features",
        feed="layer:ships",
        since=NOW,
        filter={"bbox": [0, 0, 1, 1]},
    )
    Presence.objects.create(
        id="abc:room:1:1", node=node, connection_id="n1.1", topic="room:1", key="alice", meta={"phx_ref": "r", "mood": "fine"}, since=NOW
    )


@pytest.fixture
def admin(rows: None) -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("admin"))
    return client


@pytest.fixture
def staff_with(rows: None) -> Callable[..., Client]:
    """Makes clients of staff with some of the permissions of the app `streaming`."""

    def make(*codenames: str) -> Client:
        user = User.objects.create_user(f"staff{User.objects.count()}", is_staff=True)
        user.user_permissions.set(Permission.objects.filter(content_type__app_label="streaming", codename__in=codenames))
        client = Client()
        client.force_login(user)
        return client

    return make


def shown(client: Client, path: str, **parameters: str) -> str:
    answer = client.get(f"/admin/{path}", parameters)
    assert answer.status_code == 200
    return answer.content.decode()


def test_the_index_shows_layers_connections_and_users(admin: Client) -> None:
    page = shown(admin, "")
    for text in ("GeoStream", "Overview", "Layers", "Nodes", "Connections", "Subscriptions", "Users", "Groups"):
        assert text in page


@pytest.mark.parametrize("model", PAGES)
def test_lists_can_be_searched_and_sorted(admin: Client, model: str) -> None:
    term = "s" if model in ("layer", "subscription") else "n1"
    assert f"\n1 {model}\n" in shown(admin, f"streaming/{model}/", q=term, o="1.-2")
    assert f"\n0 {model}s\n" in shown(admin, f"streaming/{model}/", q="no-such-thing")


def test_a_layer_shows_how_many_features_it_holds_now(admin: Client) -> None:
    page = shown(admin, "streaming/layer/")
    assert "1,234" in page
    assert 'href="/?layer=ships"' in page


def test_the_layers_do_without_redis(admin: Client) -> None:
    sync_redis().set("geostream:{layer:ships}:state", "of the wrong type")
    assert "unknown: Redis does not answer" in shown(admin, "streaming/layer/")


def test_the_layers_are_counted_in_one_round_trip(admin: Client) -> None:
    for number in range(20):
        Layer.objects.create(name=f"layer{number}")
    before = sync_redis().info("stats")["total_commands_processed"]
    shown(admin, "streaming/layer/")
    assert sync_redis().info("stats")["total_commands_processed"] - before < 21 + 5


def test_a_layer_is_created_and_changed(admin: Client) -> None:
    form = {"name": "planes", "title": "Planes", "public": "on", "log_length": "100", "max_features": "0", "order": "0"}
    assert admin.post("/admin/streaming/layer/add/", form).status_code == 302
    layer = Layer.objects.get(name="planes")
    path = f"/admin/streaming/layer/{layer.pk}/change/"
    assert 'name="name"' not in admin.get(path).content.decode()
    assert admin.post(path, {**form, "name": "other", "title": "Aircraft"}).status_code == 302
    layer.refresh_from_db()
    assert (layer.name, layer.title) == ("planes", "Aircraft")


def test_a_style_is_saved_unless_it_cannot_be_drawn(admin: Client) -> None:
    layer = Layer.objects.get(name="ships")
    path = f"/admin/streaming/layer/{layer.pk}/change/"
    form = {"title": "Ships", "log_length": "100", "max_features": "0", "order": "3", "group": "Sea"}
    refused = admin.post(path, {**form, "style": '{"version": 1, "color": "red"}'})
    assert refused.status_code == 200 and "style.color: " in refused.content.decode()
    assert admin.post(path, {**form, "style": '{"version": 1, "color": "#ff0000"}'}).status_code == 302
    layer.refresh_from_db()
    assert (layer.style, layer.order, layer.group) == ({"version": 1, "color": "#ff0000"}, 3, "Sea")


def test_a_subscription_shows_its_filter_and_whose_it_is(admin: Client) -> None:
    page = shown(admin, "streaming/subscription/")
    for text in ("bbox: [0, 0, 1, 1]", "alice", "192.0.2.1", "layer:ships", "earth:7"):
        assert text in page


@pytest.mark.parametrize("model", ["node", "connection", "subscription"])
def test_who_is_connected_can_only_be_looked_at(admin: Client, model: str) -> None:
    row = {"node": "n1", "connection": "n1.1", "subscription": "n1.1_2Fs"}[model]
    assert admin.get(f"/admin/streaming/{model}/{row}/change/").status_code == 200
    assert admin.get(f"/admin/streaming/{model}/add/").status_code == 403
    assert admin.post(f"/admin/streaming/{model}/{row}/change/", {"address": "x"}).status_code == 403
    assert admin.post(f"/admin/streaming/{model}/{row}/delete/", {"post": "yes"}).status_code == 403
    assert "delete_selected" not in shown(admin, f"streaming/{model}/")


def test_connections_cost_no_query_a_row(admin: Client, django_assert_max_num_queries: Any) -> None:
    node = Node.objects.get()
    Connection.objects.bulk_create(Connection(id=f"n1.{i}", node=node, dialect="geo", address="::1", since=NOW) for i in range(2, 60))
    Subscription.objects.bulk_create(
        Subscription(id=f"n1.{i}/s", connection_id=f"n1.{i}", subscription_id="s", kind="features", feed="l", since=NOW)
        for i in range(2, 60)
    )
    for model in ("connection", "subscription"):
        with django_assert_max_num_queries(16):
            shown(admin, f"streaming/{model}/")


def test_disconnecting_needs_a_permission(staff_with: Callable[..., Client]) -> None:
    looking = staff_with("view_connection")
    page = shown(looking, "streaming/connection/")
    assert "n1.1" in page
    assert "Disconnect" not in page
    assert looking.post("/admin/streaming/connection/n1.1/disconnect/").status_code == 403
    looking.post("/admin/streaming/connection/", {"action": "disconnect", "_selected_action": "n1.1"})
    assert not LogEntry.objects.exists()
    assert "Disconnect" in shown(staff_with("change_connection"), "streaming/connection/")
    assert "Disconnect" in shown(staff_with("delete_connection"), "streaming/connection/n1.1/change/")


def test_the_button_is_not_a_link(admin: Client) -> None:
    assert admin.get("/admin/streaming/connection/n1.1/disconnect/").status_code == 405
    assert admin.post("/admin/streaming/connection/n1.9/disconnect/").status_code == 404


class Operator:
    """A browser's worth of the admin of a running server."""

    def __init__(self, server: ServerProcess) -> None:
        self._url = server.url
        self._cookies = http.cookiejar.CookieJar()
        self._open = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(self._cookies)).open
        self.get("/admin/login/")
        self.post("/admin/login/?next=/admin/", username="admin", password="admin")

    def get(self, path: str) -> str:
        with self._open(self._url + path) as answer:
            text: str = answer.read().decode()
            return text

    def post(self, path: str, **fields: str) -> str:
        token = next(cookie.value or "" for cookie in self._cookies if cookie.name == "csrftoken")
        body = urllib.parse.urlencode({**fields, "csrfmiddlewaretoken": token}).encode()
        with self._open(urllib.request.Request(self._url + path, body)) as answer:
            text: str = answer.read().decode()
            return text

    def recorded(self, count: int) -> list[str]:
        """The ids of the connections, once so many are in the list."""
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            found = re.findall(r'name="_selected_action" value="([^"]+)"', self.get("/admin/streaming/connection/"))
            if len(found) == count:
                return found
        raise AssertionError(f"the list never had {count} connections")


@pytest.mark.parametrize("how", [only_long("action"), "button"])
async def test_an_operator_ends_a_connection(usual: ServerProcess, how: str) -> None:
    operator = Operator(usual)
    operator.recorded(0)
    async with connect(usual.ws_url) as socket:
        await socket.send(json.dumps({"type": "subscribe_events", "subscription_id": "s", "event_types": ["custom"]}))
        await socket.recv()
        (connection,) = operator.recorded(1)
        if how == "action":
            answer = operator.post("/admin/streaming/connection/", action="disconnect", _selected_action=connection)
        else:
            answer = operator.post(f"/admin/streaming/connection/{connection}/disconnect/")
        assert "1 disconnected" in answer
        with pytest.raises(ConnectionClosed) as closed:
            await socket.recv()
        assert closed.value.rcvd is not None
        assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (4410, "disconnected by an operator")
    with closing(sqlite3.connect(usual.data_dir / "geostream.sqlite3")) as database:
        entries = database.execute("SELECT change_message FROM django_admin_log WHERE object_id = ?", [connection]).fetchall()
    assert entries == [("Disconnected",)]
