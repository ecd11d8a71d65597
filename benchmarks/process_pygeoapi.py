"""pygeoapi as a peer of the benchmark `processes`: its own server with `hello-world`, in an environment of its own."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from streaming.server.redis_server import free_port


@contextmanager
def pygeoapi(python: Path) -> Iterator[int]:
    """A running server, with jobs in TinyDB; yields its port."""
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="geostream-bench-pygeoapi-") as scratch:
        folder = Path(scratch)
        (folder / "config.yml").write_text(json.dumps(_configuration(port, folder)))  # JSON is YAML
        (folder / "openapi.yml").write_text('{"openapi": "3.0.2", "paths": {}}')
        environment = {**os.environ, "PYGEOAPI_CONFIG": str(folder / "config.yml"), "PYGEOAPI_OPENAPI": str(folder / "openapi.yml")}
        environment.pop("DJANGO_SETTINGS_MODULE", None)
        options = ["--bind", f"127.0.0.1:{port}", "--threads", "16", "--keep-alive", "60", "--log-level", "error"]
        command = [str(python), "-m", "gunicorn", *options, "pygeoapi.flask_app:APP"]
        server = subprocess.Popen(command, env=environment, cwd=folder)
        try:
            _wait(port, server)
            yield port
        finally:
            server.terminate()
            server.wait(20)


def _configuration(port: int, folder: Path) -> dict[str, Any]:
    named = {"title": {"en": "Benchmark"}, "description": {"en": "Benchmark"}}
    return {
        "server": {
            "bind": {"host": "127.0.0.1", "port": port},
            "url": f"http://127.0.0.1:{port}",
            "mimetype": "application/json; charset=UTF-8",
            "encoding": "utf-8",
            "language": "en",
            "limits": {"default_items": 10, "max_items": 100},
            "map": {"url": "https://tile.example.org/{z}/{x}/{y}.png", "attribution": ""},
            "manager": {"name": "TinyDB", "connection": str(folder / "jobs.db"), "output_dir": str(folder)},
        },
        "logging": {"level": "ERROR"},
        "metadata": {
            "identification": {**named, "keywords": {"en": ["benchmark"]}, "terms_of_service": "", "url": "https://example.org"},
            "license": {"name": "CC0", "url": "https://example.org"},
            "provider": {"name": "Benchmark", "url": "https://example.org"},
            "contact": {"name": "Benchmark", "email": "a@example.org"},
        },
        "resources": {"hello-world": {"type": "process", "processor": {"name": "HelloWorld"}}},
    }


def _wait(port: int, server: subprocess.Popen[bytes]) -> None:
    for _ in range(600):
        if server.poll() is not None:
            raise SystemExit("pygeoapi did not start")
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/processes?f=json", timeout=5):
                return
        except OSError:
            time.sleep(0.05)
    raise SystemExit("pygeoapi did not become ready")
