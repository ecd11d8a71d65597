"""The vectors of requests: in order, on one folder that is empty at first."""

from __future__ import annotations

import base64
import json
import os
from pathlib import Path
from typing import Any

import pytest
from django.urls import reverse

from streaming.dialects.file_sync.messages import decode
from streaming.files.folder import Folder
from tests.dialects.file_sync.peer import FilePeer

from .http_peer import Answer, HttpPeer
from .vectors import CONTENTS, VECTORS, like

GIVEN_ELSEWHERE = {"enable_upload false", "authentication on"}


def form(name: str, content: bytes) -> tuple[bytes, str]:
    boundary = "frontier"
    head = f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"; filename="x.txt"\r\nContent-Type: text/plain\r\n\r\n'
    return head.encode() + content + f"\r\n--{boundary}--\r\n".encode(), f"multipart/form-data; boundary={boundary}"


async def send(peer: HttpPeer, vector: dict[str, Any], id: str = "") -> Answer:
    method, url = vector["request"].replace("{id}", id).split(" ", 1)
    headers = dict(vector.get("headers", {}))
    body = base64.b64decode(vector.get("body_base64", "")) if "tus" in url else CONTENTS[vector["file"]] if "file" in vector else b""
    if "multipart" in vector:
        ((name, path),) = vector["multipart"].items()
        body, headers["Content-Type"] = form(name, CONTENTS[path])
    if "json_body" in vector:
        body = json.dumps(vector["json_body"]).encode()
    if url == "/ws":
        url = "/ws/files"  # where this server has it
    return await peer.request(method, url, body, **headers)


def check(vector: dict[str, Any], answer: Answer) -> None:
    name = vector["name"]
    assert answer.status == vector["status"], (name, answer.body)
    for header, value in vector.get("response_headers", {}).items():
        assert answer.headers.get(header.lower()) == value or "{id}" in value, (name, header, answer.headers)
    if "json" in vector:
        assert like(vector["json"], answer.json()), (name, answer.json())
    if "body_base64" in vector and "tus" not in vector["request"]:
        assert answer.body == base64.b64decode(vector["body_base64"]), name


async def test_requests(root: Path, folder: Folder, http: HttpPeer) -> None:
    peer = await FilePeer().connect()
    await peer.ask(type="Subscribe", client_id="watching")
    for vector in VECTORS["http"]:
        if vector.get("given") in GIVEN_ELSEWHERE:
            continue
        if vector.get("given", "").startswith("link-to-etc"):
            os.symlink("/etc", root / "link-to-etc")
        answer = await send(http, vector)
        check(vector, answer)
        if vector.get("broadcast"):
            message = await peer.receive()
            assert list(message["operation"]) == [vector["broadcast"]], vector["name"]
        elif "broadcast" in vector or answer.status >= 300 or vector["request"].startswith(("GET", "HEAD")):
            assert await peer.nothing(), vector["name"]
        else:
            assert (await peer.receive())["type"] == "FileOperation", vector["name"]
    await peer.close()


@pytest.mark.parametrize("name", ["upload switched off", "no token"])
async def test_requests_under_other_settings(name: str, http: HttpPeer, settings: Any) -> None:
    vector = next(vector for vector in VECTORS["http"] if vector["name"] == name)
    if name == "no token":
        settings.GEOSTREAM_FILES_ANONYMOUS = ""
    else:
        settings.GEOSTREAM_FILES_UPLOAD = False
    check(vector, await send(http, vector))


async def test_resumable_uploads(root: Path, http: HttpPeer) -> None:
    peer = await FilePeer().connect()
    await peer.ask(type="Subscribe", client_id="watching")
    id = ""
    for vector in VECTORS["tus"]:
        answer = await send(http, vector, id)
        check(vector, answer)
        if vector["name"] == "create":
            assert answer.headers["location"].startswith("/api/tus/")
            id = answer.headers["location"].rpartition("/")[2]
        if vector.get("broadcast"):
            assert list((await peer.receive())["operation"]) == [vector["broadcast"]]
    assert (root / "layers/world.txt").read_bytes() == CONTENTS["documents/world.txt"]
    assert os.listdir(root / ".hub-uploads") == []
    await peer.close()


def test_the_addresses_have_names() -> None:
    assert reverse("streaming:files-list").startswith("/api/")


def test_what_is_announced_can_be_sent_back() -> None:
    """A client's announcement is read with the same rules."""
    message = next(vector for vector in VECTORS["messages"] if vector["name"] == "create")
    assert decode(message["text"], depth=32)
