"""Publishing with a token does not pass through Django's middleware, and nobody can tell."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from asgiref.testing import ApplicationCommunicator
from django.contrib.auth.models import User
from django.core.asgi import get_asgi_application
from django.urls import URLResolver
from rest_framework_simplejwt.tokens import AccessToken

from streaming.api.authentication import user_cache
from streaming.api.fast_publish import HttpApplication
from streaming.core.errors import StreamError
from streaming.engine.auth import verify_token
from streaming.engine.runtime import Runtime
from streaming.features.layer_creation import aensure_layer
from tests.geo_peer import GeoPeer, point

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


async def request(
    method: str, path: str, body: bytes = b"", host: str = "testserver", root_path: str = "", query: str = "", **headers: str
) -> Answer:
    """One request of the whole HTTP application; the body comes in two pieces."""
    given = {"host": host, "content-type": "application/geo+json", **{name.replace("_", "-"): value for name, value in headers.items()}}
    scope = {
        "type": "http",
        "http_version": "1.1",
        "method": method,
        "path": path,
        "root_path": root_path,
        "query_string": query.encode(),
        "headers": [(name.encode(), value.encode()) for name, value in given.items()],
    }
    peer = ApplicationCommunicator(HttpApplication(get_asgi_application()), scope)
    half = len(body) // 2
    await peer.send_input({"type": "http.request", "body": body[:half], "more_body": True})
    await peer.send_input({"type": "http.request", "body": body[half:]})
    start, pieces, more = await peer.receive_output(5), list[bytes](), True
    while more:
        piece = await peer.receive_output(5)
        pieces.append(piece["body"])
        more = piece.get("more_body", False)
    await peer.wait()
    return Answer(start, b"".join(pieces))


@pytest.fixture
async def token(runtime: Runtime) -> str:
    user_cache.clear()
    admin = await User.objects.acreate(username="admin", is_superuser=True)
    return f"Bearer {AccessToken.for_user(admin)}"


BODY = json.dumps(point(1, 2, 3)).encode()


@pytest.mark.parametrize("path", [PATH, PATH + "/"])
async def test_a_publisher_with_a_token_takes_the_short_way(token: str, path: str) -> None:
    answer = await request("POST", path, BODY, authorization=token)
    assert not answer.through_middleware
    assert (answer.status, answer.body["added"]) == (200, 1)
    assert int(answer.headers["content-length"]) == answer.length


@pytest.mark.parametrize("path", ["/live" + PATH, "/live" + PATH + "/"])
async def test_the_short_way_is_found_under_a_prefix(token: str, settings: Any, path: str) -> None:
    settings.ROOT_URLCONF = "tests.other_project.urls"
    answer = await request("POST", path, BODY, authorization=token)
    assert not answer.through_middleware
    assert (answer.status, answer.body["added"]) == (200, 1)
    assert (await request("POST", PATH, BODY, authorization=token)).through_middleware


@pytest.mark.parametrize("forced", [True, False], ids=["a setting", "the server"])
async def test_the_short_way_is_found_behind_a_script_name(token: str, settings: Any, forced: bool) -> None:
    if forced:
        settings.FORCE_SCRIPT_NAME = "/maps"
    root_path = "" if forced else "/maps"
    answer = await request("POST", "/maps" + PATH, BODY, authorization=token, root_path=root_path)
    assert not answer.through_middleware
    assert (answer.status, answer.body["added"]) == (200, 1)


async def test_a_path_too_long_for_the_cache_goes_to_django(token: str) -> None:
    answer = await request("POST", f"/api/layers/{'l' * 500}/features", BODY, authorization=token)
    assert answer.through_middleware


async def test_the_view_of_a_path_is_looked_up_once(token: str, monkeypatch: pytest.MonkeyPatch) -> None:
    path = "/api/layers/looked-up-once/features"
    await request("POST", path, json.dumps(point("a", 1, 1)).encode(), authorization=token)
    monkeypatch.setattr(URLResolver, "resolve", lambda self, path: pytest.fail(f"{path} is looked up again"))
    answer = await request("POST", path, json.dumps(point("a", 2, 2)).encode(), authorization=token)
    assert (answer.status, answer.through_middleware) == (200, False)


async def test_the_token_of_a_cached_user_is_not_verified_again(token: str, settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.GEOSTREAM_AUTH_CACHE_SECONDS = 60.0
    verified: list[str] = []

    def verify(given: str) -> Any:
        verified.append(given)
        return verify_token(given)

    monkeypatch.setattr("streaming.api.authentication.verify_token", verify)
    await request("POST", PATH, BODY, authorization=token)
    verified.clear()
    assert (await request("POST", PATH, BODY, authorization=token)).status == 200
    assert verified == []


async def test_a_cached_token_that_has_expired_may_not_send_without_limit(
    token: str, small: int, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.GEOSTREAM_AUTH_CACHE_SECONDS = 3600.0
    assert (await request("POST", PATH, BODY, authorization=token)).status == 200
    later = time.time() + 3600
    monkeypatch.setattr("streaming.api.authentication.time.time", lambda: later)
    monkeypatch.setattr("streaming.api.authentication.verify_token", expired)
    answer = await request("POST", PATH, b"x" * 2 * small, authorization=token)
    assert (answer.status, answer.headers.get("connection")) == (413, "close")


def expired(token: str) -> Any:
    raise StreamError("token_expired", "the token has expired")


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


def sender(token: str, content_type: str = "application/x-ndjson") -> ApplicationCommunicator:
    """A request whose body the test sends piece by piece."""
    headers = [(b"host", b"testserver"), (b"authorization", token.encode()), (b"content-type", content_type.encode())]
    scope = {"type": "http", "http_version": "1.1", "method": "POST", "path": PATH, "query_string": b"", "headers": headers}
    return ApplicationCommunicator(HttpApplication(get_asgi_application()), scope)


async def reader(geo: Callable[..., GeoPeer]) -> GeoPeer:
    peer = geo()
    await aensure_layer("l")
    await peer.subscribe(snapshot=False)
    return peer


async def test_lines_are_published_while_they_arrive(token: str, geo: Callable[..., GeoPeer]) -> None:
    subscriber = await reader(geo)
    publisher = sender(token)
    whole, half = json.dumps(point("a", 1, 1)).encode() + b"\n", json.dumps(point("b", 1, 1)).encode()
    await publisher.send_input({"type": "http.request", "body": whole + half[:9], "more_body": True})
    assert await subscriber.next_change() == ("added", "a")
    await publisher.send_input({"type": "http.request", "body": half[9:]})
    assert await subscriber.next_change() == ("added", "b")
    assert (await publisher.receive_output(5))["status"] == 200
    assert json.loads((await publisher.receive_output(5))["body"])["added"] == 2
    await publisher.wait()


async def test_a_publisher_of_lines_who_leaves_has_published_those_that_came(token: str, geo: Callable[..., GeoPeer]) -> None:
    subscriber = await reader(geo)
    publisher = sender(token)
    await publisher.send_input({"type": "http.request", "body": json.dumps(point("a", 1, 1)).encode() + b"\n", "more_body": True})
    assert await subscriber.next_change() == ("added", "a")
    await publisher.send_input({"type": "http.disconnect"})
    await publisher.wait()


async def test_lines_of_somebody_who_may_not_publish_are_refused_before_they_come(token: str) -> None:
    publisher = sender("Bearer nonsense")
    assert (await publisher.receive_output(5))["status"] == 401
    await publisher.receive_output(5)
    await publisher.wait()


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


@pytest.fixture
def small(settings: Any) -> int:
    """The size that a document may have."""
    settings.GEOSTREAM_MAX_BODY_BYTES = 1000
    return 1000


@pytest.mark.parametrize("path", [PATH, "/api/token/", "/api/nowhere", "/nowhere"])
@pytest.mark.parametrize("given", [{}, {"authorization": "Bearer rubbish"}, {"cookie": "sessionid=x"}], ids=["nobody", "forged", "session"])
async def test_what_is_too_large_is_not_even_taken_in(runtime: Runtime, small: int, path: str, given: dict[str, str]) -> None:
    answer = await request("POST", path, b"x" * 2 * small, **given)
    assert (answer.status, answer.body["code"], answer.headers["connection"]) == (413, "too_large", "close")


async def test_what_announces_to_be_too_large_is_refused_at_once(runtime: Runtime, small: int) -> None:
    assert (await request("POST", PATH, b"x", content_length=str(small + 1))).status == 413
    assert (await request("POST", PATH, b"x", content_length="9" * 400)).status == 413


async def test_lines_with_a_token_have_no_limit(token: str, small: int) -> None:
    lines = b"\n".join(json.dumps(point(number, 1, 1)).encode() for number in range(100))
    answer = await request("POST", PATH, lines, authorization=token, content_type="application/x-ndjson")
    assert (answer.status, answer.body["added"]) == (200, 100)
