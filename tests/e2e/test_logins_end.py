"""What rests on a login ends within seconds in every server process, whichever process ended the login.

The one that ends it is this one, beside two servers. One of them only has the notices, for it looks at the database once an
hour; the other one looks once a second, and so also finds what nobody was notified of.
"""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from rest_framework_simplejwt.tokens import AccessToken

from streaming.dialects.geo.messages import Ack, Error, SubscribeFeatures
from streaming.models import Layer
from tests.dialects.phoenix.sockets import PhoenixSocket
from tests.server_process import ServerProcess

from .sockets import GeoSocket

NAMES = ("alice", "bob", "carol", "dave", "erin")


@pytest.fixture
def servers(beside: dict[str, str], settings: Any) -> Iterator[list[ServerProcess]]:
    keys = {"GEOSTREAM_SECRET_KEY": settings.SECRET_KEY, "GEOSTREAM_JWT_SECRET": settings.SIMPLE_JWT["SIGNING_KEY"]}
    folder = settings.GEOSTREAM_DATA_DIR
    with ExitStack() as stack:
        yield [
            stack.enter_context(
                ServerProcess(
                    folder,
                    beside["REDIS_URL"],
                    {
                        **keys,
                        "DATABASE_URL": beside["DATABASE_URL"],
                        "GEOSTREAM_AUTH_CACHE_SECONDS": seconds,
                        "GEOSTREAM_OPEN_TOKENS": "0",
                    },
                )
            )
            for seconds in ("3600", "1")
        ]


class Opened:
    """What each user has open in one server: the WebSocket of a page, a subscription by token to a private layer, a joined topic."""

    def __init__(self, server: ServerProcess, users: dict[str, User], pages: dict[str, Client], stack: ExitStack) -> None:
        self._server = server
        self.sessions: dict[str, GeoSocket] = {}
        self.subscriptions: dict[str, GeoSocket] = {}
        self.members: dict[str, PhoenixSocket] = {}
        for name, user in users.items():
            bearer = {"Authorization": f"Bearer {AccessToken.for_user(user)}"}
            cookies = {"Cookie": f"sessionid={pages[name].cookies['sessionid'].value}"}
            self.sessions[name] = stack.enter_context(GeoSocket(server.ws_url, origin=server.url, headers=cookies))
            self.subscriptions[name] = stack.enter_context(GeoSocket(server.ws_url, headers=bearer))
            for socket in (self.sessions[name], self.subscriptions[name]):
                self.subscribe(socket)
            self.members[name] = stack.enter_context(PhoenixSocket(server))
            assert self.join(name, channel_token(server, bearer)) == "ok"

    def subscribe(self, socket: GeoSocket) -> None:
        ack = socket.ask(SubscribeFeatures("s", layer="secret"))
        assert isinstance(ack, Ack) and ack.success, ack

    def join(self, name: str, token: str) -> str:
        self.members[name].send("1", "1", "room:1", "phx_join", {"token": token})
        return str(self.members[name].receive_event("phx_reply")[4]["status"])

    def closed(self, *names: str) -> list[int]:
        return [self.sessions[name].closed() for name in names]

    def subscription_ended(self, name: str) -> str:
        error = self.subscriptions[name].next()
        assert isinstance(error, Error) and error.request_id == "s", error
        return error.code

    def left(self, name: str) -> str:
        return str(self.members[name].receive_event("phx_error")[4]["reason"])

    def untouched(self, *names: str) -> None:
        """These go on as if nothing had been."""
        for name in names:
            for socket in (self.sessions[name], self.subscriptions[name]):
                socket.send('{"type": "ping", "id": 7}')
                assert type(socket.receive()).__name__ == "Pong"
            self.members[name].send(None, "9", "phoenix", "heartbeat", {})
            assert self.members[name].receive_event("phx_reply")[4]["status"] == "ok"


def channel_token(server: ServerProcess, headers: dict[str, str]) -> str:
    request = urllib.request.Request(
        f"{server.url}/token", json.dumps({"channel": "room:1"}).encode(), {"Content-Type": "application/json", **headers}
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        return str(json.load(answer)["token"])


def codenames(*names: str) -> Any:
    return Permission.objects.filter(content_type__app_label="streaming", codename__in=names)


def test_what_rests_on_a_login_ends_in_every_process(servers: list[ServerProcess]) -> None:
    Layer.objects.create(name="secret", public=False)
    users, pages = {name: User.objects.create_user(name) for name in NAMES}, {name: Client() for name in NAMES}
    for name, user in users.items():
        user.user_permissions.set(codenames("view_layer", "join_topics"))
        pages[name].force_login(user)
    with ExitStack() as stack:
        opened = [Opened(server, users, pages, stack) for server in servers]
        everywhere: Callable[[Callable[[Opened], Any]], list[Any]] = lambda find: [find(each) for each in opened]  # noqa: E731

        pages["alice"].logout()
        assert everywhere(lambda server: server.closed("alice")) == [[4401]] * 2  # her token has no session

        users["bob"].is_active = False
        users["bob"].save()
        assert everywhere(lambda server: server.closed("bob")) == [[4401]] * 2
        assert everywhere(lambda server: server.subscriptions["bob"].closed()) == [4401] * 2
        assert everywhere(lambda server: server.left("bob")) == ["unauthorized"] * 2

        users["carol"].user_permissions.set([])
        assert everywhere(lambda server: server.subscription_ended("carol")) == ["forbidden"] * 2
        assert everywhere(lambda server: server.left("carol")) == ["unauthorized"] * 2

        User.objects.filter(username="dave").update(is_active=False)  # sends no notice
        assert opened[1].closed("dave") == [4401]
        assert (opened[1].subscriptions["dave"].closed(), opened[1].left("dave")) == (4401, "unauthorized")
        for server in opened:
            server.untouched("erin")
