"""`manage.py serve` (or another command that serves) as a process of its own."""

from __future__ import annotations

import json
import signal
import socket
import time
import urllib.error
import urllib.request
import uuid
from hashlib import sha256
from pathlib import Path
from typing import Any, Self

import jwt

from .processes import MANAGE, Process, TimeoutExpired, site_environment

START_SECONDS = 40.0
STOP_SECONDS = 20.0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class ServerProcess:
    """Starts, stops, kills and restarts one server on a port of its own. In a `with` statement, it runs from the beginning to the end."""

    options: tuple[str, ...] = ()
    program: tuple[str, ...] = MANAGE
    folder: Path | None = None

    def __init__(self, data_dir: Path, redis_url: str, environment: dict[str, str], command: str = "serve") -> None:
        self.data_dir = data_dir
        self.port = free_port()
        self.command = command
        self.environment = site_environment(data_dir, redis_url, **{"GEOSTREAM_LOG_LEVEL": "WARNING", **environment})
        self.log = data_dir / f"server-{self.port}.log"
        self.process: Process | None = None
        self._token = ""

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def ws_url(self) -> str:
        return f"ws://127.0.0.1:{self.port}/ws"

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    def start(self) -> None:
        listen = [f"127.0.0.1:{self.port}", "--noreload"] if self.command == "runserver" else ["--port", str(self.port)]
        with self.log.open("ab") as log:
            command = (*self.program, self.command, *listen, *self.options)
            self.process = Process(*command, cwd=self.folder, env=self.environment, stdout=log, stderr=log)
        deadline = time.monotonic() + START_SECONDS
        while not self._ready():
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.process.end()
                raise AssertionError(f"the server did not start:\n{self.log.read_text()}")
            time.sleep(0.05)

    def stop(self) -> int | None:
        """SIGTERM and wait; returns the exit code."""
        return self._end(signal.SIGTERM)

    def kill(self) -> None:
        self._end(signal.SIGKILL)

    def _end(self, sign: signal.Signals) -> int | None:
        if self.process is None:
            return None
        process, self.process = self.process, None
        with process:
            process.send_signal(sign)
            try:
                return process.wait(STOP_SECONDS)
            except TimeoutExpired:
                raise AssertionError(f"the server did not stop:\n{self.log.read_text()}") from None

    def _ready(self) -> bool:
        # Daphne starts the engine with its first WebSocket, so there being alive is all one can ask.
        path = "/healthz" if self.command == "runserver" else "/readyz"
        try:
            with urllib.request.urlopen(self.url + path, timeout=2) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def request(
        self, method: str, path: str, body: Any = None, content_type: str = "application/json", token: str | None = None
    ) -> tuple[int, Any]:
        """Status and decoded JSON of an HTTP request, by default as the superuser `admin`."""
        data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        headers = {"Content-Type": content_type}
        if token is None:
            token = self.token
        if token:
            headers["Authorization"] = f"Bearer {token}"
        request = urllib.request.Request(self.url + path, data=data, method=method, headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.status, _decoded(answer.read())
        except urllib.error.HTTPError as error:
            return error.code, _decoded(error.read())

    def post(self, path: str, body: Any, **options: Any) -> tuple[int, Any]:
        return self.request("POST", path, body, **options)

    def publish(self, layer: str, *features: dict[str, Any]) -> Any:
        status, answer = self.post(f"/api/layers/{layer}/features", {"type": "FeatureCollection", "features": list(features)})
        assert status == 200, (status, answer)
        return answer

    @property
    def token(self) -> str:
        """An access token of the superuser `admin`, who is the first user. It is signed here: a log-in hashes for a quarter of a second."""
        if not self._token:
            now = int(time.time())
            claims = {"token_type": "access", "user_id": "1", "jti": uuid.uuid4().hex, "iat": now, "exp": now + 1800}
            self._token = jwt.encode(claims, self.signing_key, algorithm="HS256")
        return self._token

    @property
    def signing_key(self) -> str:
        """The key of the server's tokens, as `geostream/settings.py` has it."""
        if key := self.environment.get("GEOSTREAM_JWT_SECRET"):
            return key
        secret = self.environment.get("GEOSTREAM_SECRET_KEY") or (self.data_dir / "secret-key").read_text()
        return sha256(f"geostream.jwt:{secret}".encode()).hexdigest()

    def log_in(self) -> str:
        """An access token for the name and the password of the superuser `admin`."""
        status, answer = self.request("POST", "/api/token/", {"username": "admin", "password": "admin"}, token="")
        assert status == 200, answer
        return str(answer["access"])


def _decoded(body: bytes) -> Any:
    try:
        return json.loads(body) if body else None
    except ValueError:
        return body.decode(errors="replace")
