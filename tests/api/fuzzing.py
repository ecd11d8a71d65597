"""Fuzzes the HTTP API of a server: requests made from its OpenAPI document, valid and not (`make fuzz`).

schemathesis makes the requests and judges the answers. None may be a 500, and none may have a status, a type, a body
or a header that the document does not know.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

from streaming.server.embedded_redis import start_redis
from tests.processes import PIPE, STDOUT, Process, manage, site_environment
from tests.server_process import ServerProcess

CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
    "response_headers_conformance",
)
PHASES = "examples,coverage,fuzzing,stateful"
ENDS_SECONDS = 60
"""How much longer than asked for a run may take."""


def is_installed() -> bool:
    """Whether schemathesis is there."""
    return find_spec("schemathesis") is not None


def fuzz(server: ServerProcess, seconds: float, examples: int, phases: str = PHASES, seed: int | None = None) -> tuple[int, str]:
    """The exit code of a run (0: nothing was found) and what it printed."""
    command = [
        *(sys.executable, "-m", "schemathesis.cli", "run", f"{server.url}/api/schema/?format=json"),
        *("--url", server.url, "--header", f"Authorization: Bearer {server.token}", "--checks", ",".join(CHECKS)),
        *("--phases", phases, "--max-time", str(round(seconds)), "--max-examples", str(examples), "--request-timeout", "30"),
        *("--suppress-health-check", "all", "--no-color", "--warnings", "off", "--generation-database", "none", "--continue-on-failure"),
        *(() if seed is None else ("--seed", str(seed))),
    ]
    environment = {**os.environ, "COLUMNS": "140"}
    with (
        tempfile.TemporaryDirectory() as folder,
        Process(*command, cwd=folder, env=environment, stdout=PIPE, stderr=STDOUT) as process,
    ):
        output, _ = process.communicate(timeout=seconds + ENDS_SECONDS)
        return process.returncode, output


def main() -> None:
    """Fuzz a server of its own."""
    parser = argparse.ArgumentParser(prog="python -m tests.api.fuzzing", description=__doc__)
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--seed", type=int)
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="geostream-fuzz-"))
    try:
        environment = site_environment(folder, DJANGO_SUPERUSER_PASSWORD="admin")
        manage("migrate", "-v", "0", env=environment)
        manage("createsuperuser", "--noinput", "--username", "admin", "--email", "a@example.org", env=environment)
        with start_redis(folder / "redis") as redis, ServerProcess(folder, redis.url, {}) as server:
            code, output = fuzz(server, options.minutes * 60, 100_000, seed=options.seed)
            print(output)
            refusals = " WARNING django.request: "
            print("\n".join(line for line in server.log.read_text().splitlines() if refusals not in line)[-20_000:])
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    sys.exit(code)


if __name__ == "__main__":
    main()
