"""The pages, wherever the project has put them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.test import Client
from django.urls import set_script_prefix

from streaming.models import Layer


@pytest.fixture(autouse=True)
def engine(transactional_db: None, redis: None) -> Iterator[None]:
    """The database and an empty Redis."""
    yield
    set_script_prefix("/")


def config(path: str, client: Client | None = None) -> Any:
    """What a page's scripts are given."""
    answer = (client or Client()).get(path)
    assert answer.status_code == 200
    found = re.search(r'<script id="[a-z]+-config" type="application/json">(.*?)</script>', answer.content.decode())
    assert found
    return json.loads(found[1])


def test_the_map_knows_the_layers_that_its_user_may_read() -> None:
    style = {"version": 1, "color": "#ff0000"}
    Layer.objects.create(name="open", title="Open", group="Here", order=2, style=style)
    Layer.objects.create(name="closed", public=False)
    shown = {"name": "open", "title": "Open", "time_property": None, "count": 0}
    assert config("/")["layers"] == [{**shown, "group": "Here", "order": 2, "style": style}]


def test_the_map_has_an_editor_of_styles_for_who_may_change_layers() -> None:
    users = get_user_model().objects
    for user, may in ((users.create_superuser("root", password="x"), True), (users.create_user("visitor", password="x"), False)):
        client = Client()
        client.force_login(user)
        told = config("/", client)
        assert (told["may_style"], "csrf" in told) == (may, may)
    assert config("/")["may_style"] is False


def test_the_map_leads_to_the_login_and_back() -> None:
    assert config("/")["login_url"] == "/geostream/login/?next=/"


def test_the_map_loads_the_modules_of_parts_with_what_each_is_told() -> None:
    (part,) = config("/")["parts"]
    assert part["module"] == "/static/processes/map/extend.js"
    assert part["config"]["urls"]["jobs"] == "/ogc/jobs"
    assert '<link rel="stylesheet" href="/static/processes/map.css">' in Client().get("/").content.decode()


@pytest.mark.parametrize(("open_names", "names"), [("", None), ("demo-*", "demo-*"), ("one, demo-*", "demo-*"), ("one", "one")])
def test_the_map_knows_which_layers_anybody_may_have_made(settings: Any, open_names: str, names: str | None) -> None:
    settings.GEOSTREAM_PROCESS_OPEN_NAMES = open_names
    assert config("/")["parts"][0]["config"]["result_names"] == names


def test_the_map_knows_that_one_who_may_add_layers_may_have_any_made() -> None:
    admin = get_user_model().objects.create_superuser("root", password="x")
    client = Client()
    client.force_login(admin)
    found = re.search(r'<script id="map-config" type="application/json">(.*?)</script>', client.get("/").content.decode())
    assert found
    told = json.loads(found[1])["parts"][0]["config"]
    assert (told["may_execute"], told["result_names"], told["user"]) == (True, "*", True)


def test_the_page_of_files_knows_where_to_ask() -> None:
    found = config("/files/")
    assert (found["api_url"], found["socket_url"], found["login_url"]) == ("/api/", "/ws/files", "/geostream/login/?next=/files/")
    assert found["trash_days"] == 30 and found["user"] is None


@pytest.mark.parametrize("path", ["/", "/channels/test/"])
def test_other_pages_lead_to_the_files(path: str) -> None:
    assert 'href="/files/"' in Client().get(path).content.decode()


def test_a_project_that_sets_no_login_page_has_ours(settings: Any) -> None:
    settings.LOGIN_URL = "/accounts/login/"  # Django's default
    assert config("/")["login_url"] == "/geostream/login/?next=/"


def test_the_login_page_that_a_project_sets_is_used(settings: Any) -> None:
    settings.LOGIN_URL = "/sign-in/"
    assert config("/")["login_url"] == "/sign-in/?next=/"


def test_a_project_without_the_admin_has_a_login_page_too(settings: Any) -> None:
    settings.LOGIN_URL = "/accounts/login/"
    settings.ROOT_URLCONF = "tests.other_project.urls"
    assert config("/live/")["login_url"] == "/live/geostream/login/?next=/live/"


def test_users_who_are_not_staff_log_in_and_out(client: Client) -> None:
    get_user_model().objects.create_user("alice", password="secret")
    wrong = client.post("/geostream/login/?next=/channels/test/", {"username": "alice", "password": "wrong"})
    assert "correct username and password" in wrong.content.decode()
    right = client.post("/geostream/login/", {"username": "alice", "password": "secret", "next": "/channels/test/"})
    assert (right.status_code, right.headers["Location"]) == (302, "/channels/test/")
    page = client.get("/").content.decode()
    assert '"user": "alice"' in page and "Log out" in page and "Administration" not in page
    assert client.post("/geostream/logout/").headers["Location"] == "/"
    assert '"user": null' in client.get("/").content.decode()


def test_the_login_leads_to_no_other_site(client: Client) -> None:
    get_user_model().objects.create_user("alice", password="secret")
    answer = client.post("/geostream/login/", {"username": "alice", "password": "secret", "next": "https://example.org/"})
    assert answer.headers["Location"] == "/"


def test_staff_find_the_way_to_the_admin(admin_client: Client) -> None:
    assert '<a href="/admin/">Administration</a>' in admin_client.get("/").content.decode()


@pytest.mark.parametrize("script_name", ["", "/maps"])
def test_websockets_are_at_the_root_behind_the_script_name(settings: Any, script_name: str) -> None:
    settings.LOGIN_URL = "/accounts/login/"
    settings.ROOT_URLCONF = "tests.other_project.urls"
    set_script_prefix(script_name)
    assert config("/live/")["ws_path"] == f"{script_name}/ws"
    assert config("/live/channels/test/")["socket_url"] == f"{script_name}/socket"


def test_the_token_of_a_topic_is_given_under_the_prefix(settings: Any) -> None:
    settings.ROOT_URLCONF = "tests.other_project.urls"
    assert config("/live/channels/test/")["token_url"] == "/live/token"
