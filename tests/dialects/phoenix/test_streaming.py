"""How Tangram's front end is shown what is on its map: it says on `system` what it looks at, and is told on a topic of its own."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.contrib.auth.models import AnonymousUser

from streaming.topics.tokens import issue

from .backend import Backend
from .conftest import Connect
from .peer import PhoenixPeer

VIEW = {"northEastLat": 47.8, "northEastLng": 10.5, "southWestLat": 45.8, "southWestLng": 5.9, "selectedEntities": []}


async def looking(phoenix: Connect, nobody: object) -> tuple[PhoenixPeer, str]:
    """A front end after its start, as in its `api.ts`, and its `connectionId`."""
    system = await issue(nobody, "system")
    peer = await phoenix(f"userToken={system.token}&vsn=2.0.0")
    await peer.join("system", "1", token=(await issue(nobody, "system", system.id)).token)
    own = f"streaming-{system.id}"
    await peer.join(own, "2", token=(await issue(nobody, own, system.id)).token)
    return peer, system.id


@pytest.fixture
def nobody(settings: Any) -> object:
    """Whoever has not logged in, on a site whose topics for maps are public."""
    settings.GEOSTREAM_OPEN_TOKENS = False
    settings.GEOSTREAM_PUBLIC_TOPICS = "system,streaming-*"
    return AnonymousUser()


async def test_a_map_is_told_what_it_looks_at_and_no_other_is(phoenix: Connect, backend: Backend, nobody: object) -> None:
    (alice, connection), (bob, _) = await looking(phoenix, nobody), await looking(phoenix, nobody)
    view = json.dumps({"connectionId": connection, **VIEW})
    await alice.send_text(f'["1","3","system","bound-box",{view}]')
    assert await backend.hears("from:system:bound-box") == [view.encode()]
    told = {"count": 900, "aircraft": [{"icao24": "4b1805"}]}
    await backend.publish(f"to:streaming-{connection}:new-jet1090-data", told)
    assert (await alice.receive_event("new-jet1090-data"))[2:] == [f"streaming-{connection}", "new-jet1090-data", told]
    assert [frame for frame in await bob.rest() if frame[3] == "new-jet1090-data"] == []


async def test_a_producer_may_be_asked_and_answers_to_all(phoenix: Connect, backend: Backend, nobody: object) -> None:
    alice, _ = await looking(phoenix, nobody)
    await alice.send("1", "3", "system", "search", {"q": "SWR", "request_id": "7"})
    assert [json.loads(asked)["request_id"] for asked in await backend.hears("from:system:search")] == ["7"]
    await backend.publish("to:system:search_result", {"request_id": "7", "data": []})
    assert (await alice.receive_event("search_result"))[4] == {"request_id": "7", "data": []}
