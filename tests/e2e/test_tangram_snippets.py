"""The examples in the documentation of Tangram's Channel service, as printed there but for host and port, in a development server."""

from __future__ import annotations

import json
import re
import shutil
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from urllib.parse import urlsplit

import pytest
import redis as redis_client

from streaming.server.embedded_redis import RedisService
from tests.conftest import missing
from tests.processes import PIPE, Process, run
from tests.server_process import ServerProcess

from .node_process import ROOT, TIMEOUT, node

CURL = """\
curl -X POST http://localhost:2025/token \\
-H "Content-Type: application/json" \\
-d '{"channel": "system", "id": "client1"}'
"""
BACKEND = """\
import redis
import json
r = redis.Redis()
# Send message to frontend clients
r.publish('to:system:update', json.dumps({
'type': 'message',
'message': 'Update from backend'
}))
# Listen for messages from frontend
p = r.pubsub()
p.psubscribe('from:system:*')
for message in p.listen():
    if message['type'] == 'pmessage':
        print(f"Received: {message['data']}")
"""


@contextmanager
def running(*command: str) -> Iterator[Iterator[str]]:
    """What a program prints, line by line; it has a few seconds."""
    with Process(*command, cwd=ROOT, stdout=PIPE) as process:
        assert process.stdout is not None
        end = threading.Timer(TIMEOUT, process.kill)
        end.start()
        try:
            yield iter(process.stdout.readline, "")
        finally:
            end.cancel()


@contextmanager
def backend(redis: RedisService) -> Iterator[Iterator[str]]:
    """The Python example, which is listening."""
    with redis_client.Redis.from_url(redis.url) as client:
        before = client.pubsub_numpat()
        with running(
            sys.executable, "-u", "-c", BACKEND.replace("redis.Redis()", f"redis.Redis(port={urlsplit(redis.url).port})")
        ) as lines:
            deadline = time.monotonic() + TIMEOUT
            while client.pubsub_numpat() == before:
                assert time.monotonic() < deadline, "it does not listen"
                time.sleep(0.01)
            yield lines


@pytest.fixture(scope="module")
def answered(usual: ServerProcess) -> dict[str, str]:
    """What the request for a token gets."""
    if shutil.which("curl") is None:
        missing("curl")
    command = CURL.replace("localhost:2025", f"localhost:{usual.port}").replace("curl", "curl --silent", 1)
    answer: dict[str, str] = json.loads(run("sh", "-c", command, timeout=TIMEOUT).stdout)
    return answer


@contextmanager
def frontend(server: ServerProcess, token: str) -> Iterator[Iterator[str]]:
    """The JavaScript example, which has joined."""
    with running(node("phoenix"), "tests/js/phoenix/tangram.mjs", f"localhost:{server.port}", token, token) as lines:
        joined = next(lines)
        assert joined.startswith("Joined successfully { id: "), joined
        yield lines


def test_curl_is_given_a_token(answered: dict[str, str]) -> None:
    assert (answered["id"], answered["channel"]) == ("client1", "system")
    assert re.fullmatch(r"eyJ[\w-]+\.eyJ[\w-]+\.[\w-]+", answered["token"])


@pytest.mark.node
def test_the_javascript_client_is_told_the_time(usual: ServerProcess, answered: dict[str, str]) -> None:
    with frontend(usual, answered["token"]) as lines:
        told = next(line for line in lines if line.startswith("Current time: "))
    assert abs(datetime.fromisoformat(told.partition(": ")[2].strip()).timestamp() - time.time()) < TIMEOUT


@pytest.mark.node
def test_the_python_backend_hears_the_javascript_client(usual: ServerProcess, module_redis: RedisService, answered: dict[str, str]) -> None:
    with backend(module_redis) as heard, frontend(usual, answered["token"]):
        assert next(heard) == """Received: b'{"message":"Hello from client"}'\n"""


@pytest.mark.node
def test_the_javascript_client_hears_the_python_backend(usual: ServerProcess, module_redis: RedisService, answered: dict[str, str]) -> None:
    with frontend(usual, answered["token"]) as lines, backend(module_redis):
        told = next(line for line in lines if line.startswith("Update: "))
    assert json.loads(told.partition(": ")[2]) == {"type": "message", "message": "Update from backend"}
