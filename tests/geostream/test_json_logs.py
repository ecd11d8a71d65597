"""The log as JSON: a line a record, with the ids of what it is about, and without what is secret."""

from __future__ import annotations

import json
import logging
import sys
import urllib.error
import urllib.request
from contextlib import suppress
from typing import Any

import pytest
from websockets.exceptions import WebSocketException
from websockets.sync.client import connect

from streaming.engine.log_context import LogContext, WithRequestId, _current
from streaming.engine.log_format import JsonFormatter, LineFormatter
from tests.conftest import Serve
from tests.server_process import ServerProcess

SECRET = "s3cr3t-t0k3n"


@pytest.fixture(scope="module")
def server(serve: Serve) -> ServerProcess:
    """One that logs all there is."""
    return serve(GEOSTREAM_LOG_FORMAT="json", GEOSTREAM_LOG_LEVEL="debug")


def lines(server: ServerProcess) -> list[dict[str, Any]]:
    return [json.loads(line) for line in server.log.read_text().splitlines() if line.startswith("{")]


def asked(server: ServerProcess, path: str, data: bytes | None = None, **headers: str) -> tuple[int, str]:
    """Status and id of a request."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    try:
        with urllib.request.urlopen(urllib.request.Request(server.url + path, data, named)) as answer:
            return answer.status, answer.headers["X-Request-ID"]
    except urllib.error.HTTPError as error:
        return error.code, error.headers["X-Request-ID"]


def test_a_request_keeps_the_id_that_a_proxy_gave_it(server: ServerProcess) -> None:
    assert asked(server, "/healthz", X_Request_ID="from-nginx.1") == (200, "from-nginx.1")


@pytest.mark.parametrize("given", ["a b", "x" * 65, 'id","level":"forged', ""])
def test_an_id_that_is_not_well_formed_is_replaced(server: ServerProcess, given: str) -> None:
    _, answered = asked(server, "/healthz", X_Request_ID=given)
    assert answered != given and len(answered) == 32


def test_a_line_has_the_id_of_its_request(server: ServerProcess) -> None:
    assert asked(server, "/nowhere", X_Request_ID="lost-1")[0] == 404
    (line,) = [line for line in lines(server) if line.get("request_id") == "lost-1"]
    assert (line["level"], line["logger"]) == ("WARNING", "django.request") and "/nowhere" in line["message"]


def test_it_has_the_user_of_a_token(server: ServerProcess) -> None:
    token = {"Authorization": f"Bearer {server.token}"}
    assert asked(server, "/api/layers/none/features", b"[", X_Request_ID="who-1", Content_Type="application/json", **token)[0] == 400
    assert [line["user"] for line in lines(server) if line.get("request_id") == "who-1"] == [1]


def speak(url: str, **headers: str) -> None:
    """Send what is secret in several ways, until the server hangs up or has nothing to say."""
    frames = (SECRET, f'{{"type":"auth","token":"{SECRET}"}}', f'["1","1","room:a","phx_join",{{"token":"{SECRET}"}}]', SECRET.encode())
    with suppress(WebSocketException, TimeoutError), connect(url, additional_headers=headers) as socket:
        for frame in frames:
            socket.send(frame)
        while True:
            socket.recv(0.1)


def test_neither_tokens_nor_payloads_are_in_any_line(server: ServerProcess) -> None:
    for path in ("/ws", "/websocket", "/ws/redis", "/ws/files", "/ws/processes", "/nowhere"):
        speak(f"{server.ws_url.removesuffix('/ws')}{path}?token={SECRET}&ticket={SECRET}", Authorization=f"Bearer {SECRET}")
        speak(f"{server.ws_url.removesuffix('/ws')}{path}?token={SECRET}")
    for path in (
        "/api/layers/",
        "/api/layers/a/features",
        "/api/events",
        "/token",
        "/api/token/",
        "/admin/login/",
        "/ogc/jobs",
        "/nowhere",
    ):
        for body in (None, SECRET.encode(), json.dumps({"token": SECRET, "password": SECRET}).encode()):
            asked(server, f"{path}?token={SECRET}", body, Authorization=f"Bearer {SECRET}", Cookie=f"sessionid={SECRET}")
    assert lines(server) and SECRET not in server.log.read_text()


def record(message: str, *arguments: object, **more: Any) -> logging.LogRecord:
    return logging.LogRecord("test", logging.WARNING, __file__, 1, message, arguments, more.get("exc_info"))


def test_a_record_is_one_line_with_its_traceback() -> None:
    try:
        raise ValueError("first\nsecond")
    except ValueError:
        text = JsonFormatter().format(record("it is %s\n", "ñ", exc_info=sys.exc_info()))
    line = json.loads(text)
    assert "\n" not in text and line["message"] == "it is ñ\n" and line["exception"].endswith("ValueError: first\nsecond")
    assert line["time"].endswith("Z") and line["level"] == "WARNING"


def test_a_name_with_a_line_break_begins_no_line_of_a_log_for_people() -> None:
    line = LineFormatter("{levelname}: {message}", style="{").format(record("alert %s", "a\r\nCRITICAL: \x1b[2Jñ\tb"))
    assert line == "WARNING: alert a\\r\\nCRITICAL: \\x1b[2Jñ\tb"


def test_it_has_tracebacks_as_they_are() -> None:
    try:
        raise ValueError("first")
    except ValueError:
        text = LineFormatter("{message}", style="{").format(record("it is", exc_info=sys.exc_info()))
    assert text.startswith("it is\nTraceback") and text.endswith("\nValueError: first")


async def test_an_application_knows_the_id_and_answers_with_it() -> None:
    seen: list[LogContext | None] = []

    async def application(scope: Any, receive: Any, send: Any) -> None:
        seen.append(_current.get())
        await send({"type": "http.response.start", "status": 200, "headers": [(b"a", b"b")]})

    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    await WithRequestId(application)({"type": "http", "headers": [(b"x-request-id", b"one")]}, None, send)
    assert seen[0] is not None and seen[0].request_id == "one"
    assert sent[0]["headers"] == [(b"a", b"b"), (b"x-request-id", b"one")]
