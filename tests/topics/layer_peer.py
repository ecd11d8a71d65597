"""A client of a layer's topic that keeps the picture as the documentation says, on a connection of Phoenix Channels."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from channels.db import database_sync_to_async

from streaming.core.replica import Replica
from streaming.engine.lifespan import running
from streaming.features.layers import catalogue, layer_feed
from streaming.models import Layer
from tests.dialects.phoenix.peer import PhoenixPeer

EVENTS = ("added", "updated", "deleted")


class LayerPeer:
    """`features` by id and the `cursor`, by nothing but the replies and events of one topic."""

    def __init__(self, peer: PhoenixPeer, topic: str = "layer:l") -> None:
        self.peer = peer
        self.topic = topic
        self.features: dict[Any, Any] = {}
        self.cursor: str | None = None
        self._joins = 0

    async def ask_to_join(self, **params: Any) -> tuple[str, Any]:
        """Status and response of a join; each has a reference of its own."""
        self._joins += 1
        self.ref = f"{self.topic}-{self._joins}"
        status, response = await self.peer.ask(self.ref, self.ref, self.topic, "phx_join", params)
        return status, response

    async def join(self, **params: Any) -> Any:
        """Join; the response, which the picture begins with."""
        status, response = await self.ask_to_join(**params)
        assert status == "ok", response
        if response["recovered"] is not True:
            self.features = {feature["id"]: feature for feature in response["features"]}
        self.cursor = response.get("cursor", self.cursor if response["recovered"] else None)
        return response

    async def refused(self, **params: Any) -> Any:
        """Why a join is refused."""
        status, response = await self.ask_to_join(**params)
        assert status == "error", response
        return response["reason"]

    async def push(self, event: str, payload: Any, ref: str = "push") -> tuple[str, Any]:
        """Status and response of a push. What came before the reply is lost."""
        status, response = await self.peer.ask(self.ref, ref, self.topic, event, payload)
        if event == "update" and status == "ok":
            self.cursor = response.get("cursor")
        return status, response

    async def update(self, **changes: Any) -> Any:
        """Move the view; the response."""
        status, response = await self.push("update", changes)
        assert status == "ok", response
        return response

    async def next(self) -> tuple[str, Any]:
        """The next event and its payload."""
        return self.take(await self.peer.receive())

    async def next_change(self) -> tuple[str, Any]:
        """The next event as (event, feature id)."""
        event, payload = await self.next()
        return event, payload["feature"]["id"] if "feature" in payload else payload["id"]

    async def rest(self) -> list[tuple[str, Any]]:
        """The events of everything that was stored until now."""
        await caught_up(self.topic.split(":")[1])
        return [self.take(frame) for frame in await self.peer.rest()]

    def take(self, frame: Any) -> tuple[str, Any]:
        join_ref, ref, topic, event, payload = frame
        assert (join_ref, ref, topic) == (None, None, self.topic), frame
        assert event in EVENTS, frame
        if event == "deleted":
            self.features.pop(payload["id"], None)
        else:
            self.features[payload["feature"]["id"]] = payload["feature"]
        self.cursor = payload.get("cursor", self.cursor)
        return event, payload


ConnectLayer = Callable[..., Awaitable[LayerPeer]]


async def replica_of(layer: str) -> Replica:
    """This process's copy of a layer."""
    engine = running()
    assert engine is not None
    return await engine.hub.replica(layer_feed(await catalogue.get(layer)))


async def caught_up(layer: str) -> None:
    """Everything stored in a layer has been told."""
    engine = running()
    assert engine is not None
    await engine.hub.refresh(await replica_of(layer))


@database_sync_to_async
def save_layer(name: str, **fields: Any) -> None:
    Layer.objects.update_or_create(name=name, defaults=fields)


@database_sync_to_async
def delete_layer(name: str) -> None:
    Layer.objects.get(name=name).delete()
