"""Publishing with a token does not pass through Django's middleware, and nobody can tell."""

from __future__ import annotations

import json
from typing import Any

import pytest
from asgiref.testing import ApplicationCommunicator
from django.contrib.auth.models import User
from django.core.asgi import get_asgi_application
from rest_framework_simplejwt.tokens import AccessToken

from streaming.api.direct import HttpApplication
from streaming.runtime import Runtime
from tests.geo_peer import point

PATH = "/api/layers/l/features"


class Answer:
    def __init__(self, start: dict[str, Any], body: bytes) -> None:
        self.status = start["status"]
        self.headers = {name.decode().lower(): value.decode() for name, value in start["headers"]}
        self.length = len(body)
        self.body = json.loads(body) if body.startswith(b"{") else body

    @property
    def through_middleware(self) -> bool:
        return "x-frame-options" in self.headers


async def request(method: str, path: str, body: bytes = b"", host: str = "testserver", **headers: str) -> Answer:
    """One request of the whole HTTP application; the body comes in two pieces."""
    given = {"host": host, "content-type": "application/geo+json", **{name.replace("_", "-"): value for name, value in headers.items()}}
    scope = {
        "type": "http",
        "http_version": "1.1",
        "method": method,
        "path": path,
        "query_string": b"",
        "headers": [(name.encode(), value.encode()) for name, value in given.items()],
    }
    peer = ApplicationCommunicator(HttpApplication(get_asgi_application()), scope)
    half = len(body) // 2
    await peer.send_input({"type": "http.request", "body": body[:half], "more_body": True})
    await peer.send_input({"type": "http.request", "body": body[half:]})
    start, rest = await peer.receive_output(5), await peer.receive_output(5)
    await peer.wait()
    return Answer(start, rest["body"])


@pytest.fixture
async def token(runtime: Runtime) -> str:
    admin = await User.objects.acreate(username="admin", is_superuser=True)
    return f"Bearer {AccessToken.for_user(admin)}"


BODY = json.dumps(point(1, 2, 3)).encode()


@pytest.mark.parametrize("path", [PATH, PATH + "/"])
async def test_a_publisher_with_a_token_takes_the_short_way(token: str, path: str) -> None:
    answer = await request("POST", path, BODY, authorization=token)
    assert not answer.through_middleware
    assert (answer.status, answer.body["added"]) == (200, 1)
    assert int(answer.headers["content-length"]) == answer.length


async def test_refusals_are_the_same(token: str) -> None:
    answer = await request("POST", PATH, b"{", authorization=token)
    assert (answer.status, answer.body["code"]) == (400, "invalid_feature")
    answer = await request("POST", PATH, BODY, authorization="Bearer nonsense")
    assert (answer.status, answer.body["code"], answer.through_middleware) == (401, "token_invalid", False)
    assert answer.headers["www-authenticate"].startswith("Bearer")


async def test_everything_else_goes_to_django(token: str) -> None:
    await request("POST", PATH, BODY, authorization=token)
    for method, path, headers in [
        ("POST", PATH, {}),
        ("GET", PATH, {"authorization": token}),
        ("POST", "/api/ticket/", {"authorization": token}),
    ]:
        assert (await request(method, path, BODY, **headers)).through_middleware


async def test_a_publisher_who_leaves_early_publishes_nothing(token: str) -> None:
    scope = {
        "type": "http",
        "http_version": "1.1",
        "method": "POST",
        "path": PATH,
        "query_string": b"",
        "headers": [(b"host", b"testserver"), (b"authorization", token.encode())],
    }
    peer = ApplicationCommunicator(HttpApplication(get_asgi_application()), scope)
    await peer.send_input({"type": "http.request", "body": BODY[:10], "more_body": True})
    await peer.send_input({"type": "http.disconnect"})
    await peer.wait()
    assert (await request("GET", PATH)).status == 404
