"""/api/asyncapi.json and /api/asyncapi/: the AsyncAPI 3 document of all WebSockets, and the page that shows it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

import msgspec
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_safe
from drf_spectacular.settings import spectacular_settings

from streaming.engine.message_types import MessageType, SocketDescription
from streaming.engine.registry import all_sockets

MEDIA_TYPE = "application/vnd.aai.asyncapi+json;version=3.0.0"
_SCHEMAS = "#/components/schemas/"


@require_safe
def document_view(request: HttpRequest) -> HttpResponse:
    """The document."""
    answer = HttpResponse(json.dumps(document_for(request), ensure_ascii=False, indent=1), content_type=MEDIA_TYPE)
    answer["Access-Control-Allow-Origin"] = "*"  # as it is for anybody
    return answer


@require_safe
def page_view(request: HttpRequest) -> HttpResponse:
    """The document for people."""
    document = document_for(request)
    sockets = [_shown(socket, document) for socket in all_sockets()]
    context = {"info": document["info"], "server": document["servers"]["site"], "sockets": sockets}
    return render(
        request, "streaming/asyncapi.html", {**context, "json_url": reverse("streaming:asyncapi"), "docs_url": reverse("streaming:docs")}
    )


def document_for(request: HttpRequest) -> dict[str, Any]:
    """The document, with the address that the request was sent to."""
    document = asyncapi_document()
    server = {"host": request.get_host(), "protocol": "wss" if request.is_secure() else "ws"}
    return {**document, "servers": {"site": server}}


@cache
def asyncapi_document() -> Mapping[str, Any]:
    """The document without servers. It does not change while a process runs."""
    sockets = all_sockets()
    schemas: dict[str, Any] = {}
    messages = {f"{socket.name}.{message.name}": _message(socket, message, schemas) for socket in sockets for message in socket.messages}
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": f"{spectacular_settings.TITLE or 'GeoStream'}: WebSockets",
            "version": spectacular_settings.VERSION,
            "description": "What clients and the server say over the WebSockets of this site. `receive` is what the server receives.",
        },
        "defaultContentType": "application/json",
        "channels": {socket.name: _channel(socket) for socket in sockets},
        "operations": dict(operation for socket in sockets for operation in _operations(socket)),
        "components": {"messages": messages, "schemas": dict(sorted(schemas.items()))},
    }


def _channel(socket: SocketDescription) -> dict[str, Any]:
    others = f" Also at {', '.join(f'`{address}`' for address in socket.addresses[1:])}." if len(socket.addresses) > 1 else ""
    return {
        "address": socket.addresses[0],
        "title": socket.title,
        "summary": socket.description.partition(". ")[0].rstrip(".") + ".",
        "description": socket.description + others,
        "messages": {message.name: {"$ref": f"#/components/messages/{socket.name}.{message.name}"} for message in socket.messages},
        "bindings": {"ws": {"method": "GET", "bindingVersion": "0.1.0"}},
    }


def _operations(socket: SocketDescription) -> Iterator[tuple[str, dict[str, Any]]]:
    for action, sender in (("receive", "client"), ("send", "server")):
        references = [
            {"$ref": f"#/channels/{socket.name}/messages/{message.name}"}
            for message in socket.messages
            if message.sender in (sender, "both")
        ]
        title = f"What {'clients send' if action == 'receive' else 'the server sends'}: {socket.title}"
        yield (
            f"{socket.name}.{action}",
            {"action": action, "channel": {"$ref": f"#/channels/{socket.name}"}, "title": title, "messages": references},
        )


def _message(socket: SocketDescription, message: MessageType, schemas: dict[str, Any]) -> dict[str, Any]:
    examples = [{"name": f"{message.name}-{number}", "payload": example} for number, example in enumerate(message.examples, 1)]
    return {
        "name": message.name,
        "title": message.name,
        "summary": message.summary,
        "contentType": message.content_type,
        "payload": _schema(message.schema, socket.name, schemas),
        **({"examples": examples} if examples else {}),
    }


def _schema(found: Any, prefix: str, schemas: dict[str, Any]) -> Any:
    """A schema in which types are references to theirs, which are put into `schemas`."""
    if isinstance(found, type):
        (reference,), components = msgspec.json.schema_components([found], ref_template=f"{_SCHEMAS}{prefix}.{{name}}")
        schemas.update({f"{prefix}.{name}": _draft_7(schema) for name, schema in components.items()})
        return reference
    if isinstance(found, Mapping):
        return {name: _schema(value, prefix, schemas) for name, value in found.items()}
    if isinstance(found, list | tuple):
        return [_schema(value, prefix, schemas) for value in found]
    return found


def _draft_7(found: Any) -> Any:
    """What msgspec writes in a later draft: the elements of tuples."""
    if isinstance(found, list):
        return [_draft_7(each) for each in found]
    if not isinstance(found, dict):
        return found
    schema = {name: _draft_7(value) for name, value in found.items()}
    if "prefixItems" in schema:
        schema["items"] = schema.pop("prefixItems")
        schema["additionalItems"] = False
    return schema


def _shown(socket: SocketDescription, document: Mapping[str, Any]) -> dict[str, Any]:
    """A socket for the page: its messages by who sends them, with examples and schemas as text."""
    components = document["components"]
    messages = [
        {
            "id": f"{socket.name}.{message.name}",
            "sender": message.sender,
            "name": message.name,
            "summary": message.summary,
            "examples": [_text(example) for example in message.examples],
            "schema": _text(_resolved(components["messages"][f"{socket.name}.{message.name}"]["payload"], components["schemas"])),
        }
        for message in socket.messages
    ]
    parts = (("From clients", "client"), ("From the server", "server"), ("From both", "both"))
    return {
        "socket": socket,
        "description": [(number % 2 == 1, text) for number, text in enumerate(socket.description.split("`"))],
        "parts": [(title, found) for title, sender in parts if (found := [each for each in messages if each["sender"] == sender])],
    }


def _resolved(schema: Any, schemas: Mapping[str, Any], depth: int = 4) -> Any:
    """With what it refers to in its place."""
    if isinstance(schema, list):
        return [_resolved(each, schemas, depth) for each in schema]
    if not isinstance(schema, dict):
        return schema
    reference = schema.get("$ref")
    if isinstance(reference, str) and depth:
        return _resolved(schemas[reference.removeprefix(_SCHEMAS)], schemas, depth - 1)
    return {name: _resolved(value, schemas, depth) for name, value in schema.items()}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, indent=2)
