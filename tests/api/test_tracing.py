"""`?trace`: where the time of one change went, in each process that has subscribers."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from rest_framework.test import APIClient
from websockets.asyncio.client import connect

from tests.conftest import Serve
from tests.geo_peer import point
from tests.server_process import ServerProcess

MILLISECONDS = ("rung_ms", "pulled_ms", "judged_ms", "encoded_ms", "written_ms", "total_ms")


@pytest.fixture(scope="module")
def pair(serve: Serve) -> tuple[ServerProcess, ServerProcess]:
    return serve(), serve()


async def test_each_process_with_subscribers_says_what_it_did(pair: tuple[ServerProcess, ServerProcess]) -> None:
    here, there = pair
    here.publish("traced", point("a", 1, 1))
    request = json.dumps({"type": "subscribe_features", "subscription_id": "s", "layer": "traced", "snapshot": False})
    async with connect(here.ws_url) as one, connect(there.ws_url) as two, connect(there.ws_url) as three:
        for socket in (one, two, three):
            await socket.send(request)
            assert json.loads(await socket.recv())["success"]
        status, answer = here.post("/api/layers/traced/features?trace", point("a", 2, 2))
    assert (status, answer["updated"]) == (200, 1)
    trace = answer["trace"]
    assert (trace["feed"], trace["changes"], trace["silent"]) == ("layer:traced", 1, [])
    assert trace["cursor"].endswith(":2")
    assert trace["stored_ms"] > 0 < trace["checked_ms"]
    assert {process["pid"]: (process["subscribers"], process["deliveries"]) for process in trace["processes"]} == {
        here.pid: (1, 1),
        there.pid: (2, 2),
    }
    for process in trace["processes"]:
        assert all(process[name] >= 0 for name in MILLISECONDS)
        assert process["encoded_ms"] > 0 < process["written_ms"]
        assert process["total_ms"] >= process["encoded_ms"] + process["written_ms"]


async def test_a_change_of_one_feature_and_its_end_are_traced_too(pair: tuple[ServerProcess, ServerProcess]) -> None:
    here, there = pair
    here.publish("single", point("a", 1, 1))
    async with connect(there.ws_url) as socket:
        await socket.send(json.dumps({"type": "subscribe_features", "subscription_id": "s", "layer": "single", "snapshot": False}))
        await socket.recv()
        for method, status in (("PUT", 200), ("PATCH", 200), ("DELETE", 200)):
            body = None if method == "DELETE" else {"type": "Feature", "geometry": None, "properties": {"by": method}}
            got, answer = here.request(method, "/api/layers/single/features/a?trace", body)
            assert got == status, answer
            assert [process["deliveries"] for process in answer["trace"]["processes"]] == [1], method


def test_an_event_is_traced(usual: ServerProcess) -> None:
    status, answer = usual.post("/api/events/?trace", {"event_type": "custom", "payload": 1})
    assert (status, answer["trace"]["feed"], answer["trace"]["cursor"]) == (201, "events", answer["cursor"])


def test_nothing_changed_is_nothing_delivered(usual: ServerProcess) -> None:
    usual.publish("same", point("a", 1, 1))
    trace = usual.post("/api/layers/same/features?trace=true", point("a", 1, 1))[1]["trace"]
    assert (trace["changes"], trace["cursor"], trace["processes"]) == (0, None, [])


def test_without_it_there_is_no_trace(usual: ServerProcess) -> None:
    assert "trace" not in usual.post("/api/layers/same/features?trace=false", point("b", 1, 1))[1]


def test_only_staff_may(user_with: Callable[..., APIClient], cities: list[dict[str, Any]]) -> None:
    client = user_with("change_layer")
    answer = client.post("/api/layers/cities/features?trace", point("new", 1, 1), format="json")
    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
    assert client.get("/api/layers/cities/features/new").status_code == 404


def test_a_value_that_means_nothing_is_refused(admin: APIClient) -> None:
    assert admin.post("/api/layers/cities/features?trace=maybe", point("new", 1, 1), format="json").status_code == 400
