"""A project that has its own of everything: admin site, ASGI file, Redis, home page, templates, URL names, REST framework's settings."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
import redis
from websockets.sync.client import connect

from streaming.server.embedded_redis import RedisService
from tests.geo_peer import point

from . import tutorial
from .environment import ROOT, Environment
from .project import HostServer, Project, start_project
from .test_tutorial import SUPERUSER

pytestmark = pytest.mark.long_form(only=True)

DATABASE = 3
LANGUAGES = re.findall("```python\n(.*?)```", (ROOT / "docs" / "languages.md").read_text(), re.S)[0]
"""The lines that its settings need for a choice of languages."""
SETTINGS = """
INSTALLED_APPS = [
    "depot.backoffice.DepotAdminConfig",
    *(name for name in INSTALLED_APPS if name not in ("django.contrib.admin", "fleet")),
    "depot",
    "rest_framework",
]
REDIS_URL = "{redis_url}"
CHANNEL_LAYERS = {{
    "default": {{
        "BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer",
        "CONFIG": {{"hosts": [{{"address": REDIS_URL, "socket_timeout": None}}], "prefix": "depot"}},
    }}
}}
REST_FRAMEWORK = {{
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAdminUser"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "EXCEPTION_HANDLER": "depot.views.exception_handler",
}}
STORAGES = {{
    "default": {{"BACKEND": "django.core.files.storage.FileSystemStorage"}},
    "staticfiles": {{"BACKEND": "django.contrib.staticfiles.storage.ManifestStaticFilesStorage"}},
}}
STATIC_ROOT = BASE_DIR / "collected"
LOGIN_URL = "/door/"
"""
FILES = {
    "depot/__init__.py": "",
    "depot/backoffice.py": """
from django.contrib.admin.apps import AdminConfig


class DepotAdminConfig(AdminConfig):
    default_site = "depot.sites.DepotSite"
""",
    "depot/sites.py": """
from django.contrib.admin import AdminSite


class DepotSite(AdminSite):
    site_header = "The depot"
""",
    "depot/views.py": """
from django.shortcuts import render
from rest_framework.response import Response
from rest_framework.views import APIView


def home(request):
    return render(request, "home.html")


def exception_handler(exc, context):
    return Response({"depot": str(exc)}, status=418)


class Stock(APIView):
    def get(self, request):
        return Response({"trams": 4})
""",
    "depot/templates/base.html": "<title>Depot</title>{% block content %}{% endblock %}",
    "depot/templates/home.html": '{% extends "base.html" %}{% block content %}The depot\'s home{% endblock %}',
    "mysite/urls.py": """
from depot.views import Stock, home
from django.contrib import admin
from django.urls import include, path

urlpatterns = [
    path("", home, name="map"),
    path("stock/", Stock.as_view(), name="schema"),
    path("", include("streaming.urls")),
    path("backoffice/", admin.site.urls),
]
""",
    "mysite/asgi.py": """
import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "mysite.settings")

from django.core.asgi import get_asgi_application

http = get_asgi_application()

from channels.generic.websocket import AsyncWebsocketConsumer
from django.urls import path
from streaming.asgi import with_streams


class Bell(AsyncWebsocketConsumer):
    async def receive(self, text_data=None, bytes_data=None):
        await self.send(text_data.upper())


async def application(scope, receive, send):
    scope["through"] = "middleware of the depot"
    await streams(scope, receive, send)


streams = with_streams(http, [path("ws/bell", Bell.as_asgi())])
""",
}
AS_SUPERUSER = """
from django.contrib.auth import get_user_model
from django.test import Client

client = Client(headers={"host": "127.0.0.1"})
client.force_login(get_user_model().objects.get())
for path in ("/backoffice/", "/backoffice/streaming/layer/", "/backoffice/streaming/tileset/", "/admin/live/"):
    answer = client.get(path)
    print(path, answer.status_code, b"The depot" in answer.content)
"""


@pytest.fixture(scope="module")
def own_url(module_redis: RedisService) -> str:
    return module_redis.url.removesuffix("/0") + f"/{DATABASE}"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, host: Environment, own_url: str) -> Project:
    made = start_project(tmp_path_factory.mktemp("own"), host)
    (settings,) = (block for block in tutorial.section("A Django project") if block.place == "mysite/settings.py")
    made.write("mysite/settings.py", settings.text + SETTINGS.format(redis_url=own_url) + LANGUAGES, at_the_end=True)
    for name, text in FILES.items():
        made.write(name, text)
    made.manage("migrate", "-v", "0")
    made.manage("createsuperuser", "--noinput", **SUPERUSER)
    return made


@pytest.fixture(scope="module")
def server(project: Project) -> Iterator[HostServer]:
    with project.server() as serving:
        yield serving
    assert "Traceback" not in serving.log.read_text()


def test_its_home_page_and_its_templates_stay(server: HostServer) -> None:
    with urlopen(f"{server.url}/") as answer:
        assert answer.read().decode() == "<title>Depot</title>The depot's home"
    with urlopen(f"{server.url}/channels/test/") as answer:
        page = answer.read().decode()
    assert "<title>GeoStream" in page and "Depot" not in page


def test_pages_are_in_the_languages_that_it_has(server: HostServer) -> None:
    def read(path: str, language: str) -> str:
        with urlopen(Request(server.url + path, headers={"Accept-Language": language})) as answer:
            return answer.read().decode()

    html = read("/channels/test/", "de-CH")
    assert '<html lang="de">' in html and "Diese Seite braucht JavaScript." in html and html.count('<button name="language"') == 4
    (texts,) = re.findall(r'<script src="(/geostream/texts/de\.[^"]+)" defer>', html)
    assert "Nicht verbunden" in read(texts, "en")
    assert '<html lang="en">' in read("/channels/test/", "it")


def test_both_have_their_websockets(server: HostServer) -> None:
    with connect(f"{server.ws_url}/bell") as bell, connect(server.ws_url) as streams:
        bell.send("ding")
        assert bell.recv(timeout=10) == "DING"
        server.publish("trams", point(4, 8.5, 47.4))
        streams.send(json.dumps({"type": "subscribe_features", "subscription_id": "s", "layer": "trams"}))
        assert json.loads(streams.recv(timeout=10))["success"]
        assert json.loads(streams.recv(timeout=10))["id"] == 4


def test_its_admin_site_has_the_layers_and_the_operators_page(project: Project) -> None:
    lines = project.manage("shell", "-c", AS_SUPERUSER).stdout.splitlines()
    seen = [line.split() for line in lines if line.startswith("/")]
    assert seen and all(line[1:] == ["200", "True"] for line in seen), lines


def test_who_is_not_logged_in_is_led_to_its_login(server: HostServer) -> None:
    with urlopen(f"{server.url}/admin/live/") as answer:
        assert answer.url == f"{server.url}/backoffice/login/?next=/admin/live/"
        assert "The depot" in answer.read().decode()


def test_its_rest_framework_is_its_own(server: HostServer) -> None:
    assert refusal(f"{server.url}/stock/") == (418, {"depot": "Authentication credentials were not provided."})
    assert refusal(f"{server.url}/api/layers/nowhere/")[1]["code"] == "unknown_layer"
    with urlopen(f"{server.url}/api/schema/?format=json") as answer:
        paths = json.load(answer)["paths"]
    assert "/api/layers/" in paths and "/stock/" not in paths


def refusal(url: str) -> tuple[int, Any]:
    with pytest.raises(HTTPError) as refused, urlopen(url):
        pass
    return refused.value.code, json.load(refused.value)


def test_its_redis_is_used_and_no_other(server: HostServer, module_redis: RedisService, own_url: str) -> None:
    server.publish("kept", point(1, 8.5, 47.4))
    with redis.Redis.from_url(own_url) as own, redis.Redis.from_url(module_redis.url) as other:
        assert own.exists("{layer:kept}:state") or own.keys("*layer:kept*")
        assert other.dbsize() == 0


def test_its_static_files_can_have_hashed_names(project: Project) -> None:
    printed = project.manage("collectstatic", "--no-input").stdout
    assert re.search(r"\d+ static files copied to .*, \d+ post-processed", printed)
    names = json.loads((project.folder / "collected" / "staticfiles.json").read_text())["paths"]
    assert {"streaming/map/main.js", "streaming/vendor/leaflet/leaflet.css", "streaming/theme.css"} < names.keys()


def test_nothing_of_geostream_objects_to_production(project: Project) -> None:
    text = (project.folder / "mysite" / "settings.py").read_text()
    production = (
        'DEBUG, ALLOWED_HOSTS, SECRET_KEY = False, ["example.org"], "q7vJ0cQ4wKX3f8mB2nS9tYeU5rHdPzLa"\nGEOSTREAM_OPEN_TOKENS = False\n'
        'GEOSTREAM_METRICS_TOKEN = "b5nJ3vTq8wXzL0mK"\n'
    )
    project.write("mysite/production.py", text + production)
    found = project.manage("check", "--deploy", DJANGO_SETTINGS_MODULE="mysite.production").stderr
    assert "streaming." not in found
