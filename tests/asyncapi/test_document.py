"""The AsyncAPI document: valid by the specification, complete, and right about what was recorded and what the codecs read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema_rs
import msgspec
import pytest
from django.test import AsyncClient, Client

from processes import json_rpc
from processes.workers import job_messages, worker_messages
from streaming.api.asyncapi import asyncapi_document
from streaming.dialects.file_sync.messages import Ignored
from streaming.dialects.file_sync.messages import decode as decode_files
from streaming.dialects.geo.messages import TYPES
from streaming.dialects.phoenix.frames import decode_v2
from streaming.dialects.redis_commands.grammar import COMMANDS, parse
from streaming.engine.message_types import MessageType, Sender, SocketDescription
from streaming.engine.registry import all_dialects, all_sockets, all_websocket_urlpatterns
from streaming.engine.runtime import Runtime
from tests.dialects.geo.vectors import MESSAGES, read
from tests.dialects.phoenix.vectors import CODEC, SESSIONS
from tests.dialects.redis_commands.vectors import CASES, GREETING, expected

from .documented import is_documented

SPECIFICATION = json.loads((Path(__file__).parent / "specification" / "3.0.0.json").read_text())
SOCKETS = {socket.name: socket for socket in all_sockets()}
DECLARED = [(socket, message) for socket in SOCKETS.values() for message in socket.messages]
PARTS: dict[Any, dict[str, Any]] = {"error": {"message": ""}, "hello": {"commands": [], "limits": {}}}
EXAMPLES = [(socket, message, example) for socket, message in DECLARED for example in message.examples]


def served() -> dict[str, Any]:
    answer = Client().get("/api/asyncapi.json", headers={"host": "localhost"})
    assert answer.status_code == 200
    assert answer["Content-Type"] == "application/vnd.aai.asyncapi+json;version=3.0.0"
    document: dict[str, Any] = json.loads(answer.content)
    return document


def test_it_is_valid_by_the_specification() -> None:
    validator = jsonschema_rs.Draft7Validator(SPECIFICATION)
    assert [f"{error.instance_path}: {error.message[:300]}" for error in validator.iter_errors(served())] == []
    assert not validator.is_valid({**served(), "channels": {"geo": {"address": 7}}})


def test_every_dialect_and_every_address_is_in_it() -> None:
    assert set(SOCKETS) == set(all_dialects()) == set(served()["channels"])
    routed = {f"/{pattern.pattern}" for pattern in all_websocket_urlpatterns()}
    assert {address for socket in SOCKETS.values() for address in socket.addresses} == routed


def test_every_reference_leads_somewhere() -> None:
    document = served()

    def check(value: Any) -> None:
        if isinstance(value, dict):
            if isinstance(target := value.get("$ref"), str):
                found: Any = document
                for step in target.removeprefix("#/").split("/"):
                    found = found[step]
            for each in value.values():
                check(each)
        elif isinstance(value, list):
            for each in value:
                check(each)

    check(document)


def test_the_server_is_the_one_that_was_asked() -> None:
    assert served()["servers"] == {"site": {"host": "localhost", "protocol": "ws"}}
    secure = Client().get("/api/asyncapi.json", headers={"host": "localhost"}, secure=True)
    assert json.loads(secure.content)["servers"] == {"site": {"host": "localhost", "protocol": "wss"}}


def test_names_are_unique_and_every_message_has_an_example() -> None:
    assert len(asyncapi_document()["components"]["messages"]) == len(DECLARED)
    assert [f"{socket.name}.{message.name}" for socket, message in DECLARED if not (message.examples and message.summary)] == []


@pytest.mark.parametrize(("socket", "message", "example"), EXAMPLES, ids=lambda value: getattr(value, "name", None) or "")
def test_examples_are_what_their_schemas_say_and_the_codecs_read(socket: SocketDescription, message: MessageType, example: Any) -> None:
    sender: Sender = "client" if message.sender == "both" else message.sender
    assert is_documented(socket.name, sender, example, message.name)
    text = example if isinstance(example, str) else json.dumps(example)
    match socket.name, sender:
        case "geo", _:
            assert msgspec.to_builtins(read(text), str_keys=True)["type"] == message.name
        case "phoenix", _:
            assert json.loads(decode_v2(text).payload) == example[4]
        case "redis", "client":
            assert parse(text).verb == message.name if hasattr(parse(text), "verb") else message.name in COMMANDS
        case "files", "client":
            assert not isinstance(decode_files(text, 32), Ignored)
        case "processes", _:
            found = json_rpc.read(text)
            if isinstance(found, json_rpc.Request) and sender == "client":
                struct, _ = {**worker_messages.METHODS, **job_messages.METHODS}[found.method]
                msgspec.json.decode(found.params, type=struct)


# -- complete -------------------------------------------------------------------


def names(dialect: str, sender: Sender) -> set[str]:
    return {message.name for message in SOCKETS[dialect].messages if message.sender in (sender, "both")}


def test_every_type_of_the_geo_protocol_is_in_it() -> None:
    assert names("geo", "client") | names("geo", "server") == set(TYPES)


def test_every_command_is_in_it() -> None:
    assert names("redis", "client") == set(COMMANDS)


def test_every_method_of_workers_is_in_it() -> None:
    methods = {*worker_messages.METHODS, *job_messages.METHODS}
    assert names("processes", "client") == methods | {"result", "failure"}


# -- what was recorded ------------------------------------------------------------


@pytest.mark.parametrize("vector", MESSAGES, ids=lambda vector: vector["name"])
def test_recorded_messages_of_the_geo_protocol_are_documented(vector: dict[str, Any]) -> None:
    sender: Sender = "server" if vector["direction"] == "server->client" else "client"
    assert is_documented("geo", sender, json.loads(vector["json"]), vector["type"])


def test_recorded_frames_of_phoenix_are_documented() -> None:
    recorded = [each for each in CODEC if each["vsn"] == "2.0.0"]
    frames: list[tuple[Sender, str | None]] = [
        ("client" if each["dir"] == "client->server" else "server", each.get("text")) for each in recorded
    ]
    frames += [("server", event.get("recv")) for session in SESSIONS["phoenix_1_8_9"] for event in session["events"]]
    texts = [(sender, json.loads(text)) for sender, text in frames if text and text.startswith("[")]
    assert len(texts) > 40
    assert [frame for sender, frame in texts if not is_documented("phoenix", sender, frame)] == []


def test_recorded_frames_of_redis_commands_are_documented() -> None:
    steps = [step for case in CASES for step in case["steps"]]
    frames = [GREETING, *(frame for step in steps for frame in expected(step) if isinstance(frame, dict) and "source" in frame)]
    assert len(frames) > 100
    for frame in frames:
        content = frame["content"]
        if isinstance(content, dict):  # notices are recorded without what differs from server to server
            content = {**PARTS.get(content.get("status"), {}), **content}
        assert is_documented("redis", "server", {**frame, "content": content, "timestamp": 1.5}), frame


# -- the page ---------------------------------------------------------------------


@pytest.mark.django_db
def test_the_page_shows_every_message_without_scripts_of_others() -> None:
    page = Client().get("/api/asyncapi/").content.decode()
    for socket, message in DECLARED:
        assert f'id="{socket.name}.{message.name}"' in page
    assert "http://" not in page.replace("http://localhost", "").replace("http://testserver", "") and "https://" not in page


async def test_it_is_linked_from_the_landing_page_and_from_the_api(runtime: Runtime) -> None:
    client = AsyncClient()
    landing = (await client.get("/ogc/", headers={"accept": "application/json"})).json()
    assert [each["href"] for each in landing["links"] if "asyncapi" in each.get("type", "")] == ["http://testserver/api/asyncapi.json"]
    assert "../asyncapi/" in (await client.get("/api/schema/")).content.decode()
