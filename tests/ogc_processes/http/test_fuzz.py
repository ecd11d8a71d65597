"""The API holds what its own definition says, whatever it is sent: schemathesis makes the requests and judges the answers."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.api.fuzzing import CHECKS, is_installed
from tests.conftest import missing
from tests.ogc_processes.descriptions.examples import ECHO
from tests.ogc_processes.live import serving
from tests.ogc_processes.played_worker import Inputs, PlayedWorker, Work
from tests.processes import run
from tests.profiles import LONG

from .conftest import offer

pytestmark = pytest.mark.long_form(only=True)

SECONDS, EXAMPLES = (60, 200) if LONG else (4, 6)


@pytest.fixture
async def site(anonymous_may: None, worker: PlayedWorker, settings: Any) -> AsyncIterator[str]:
    settings.GEOSTREAM_PROCESS_SYNC_SECONDS = 2.0

    async def at_once(inputs: Inputs, work: Work) -> Any:
        from processes.jobs.outcomes import OutputPart

        return [OutputPart(name, values[0]) for name, values in inputs.items() if name in ECHO["outputs"]]

    await offer(worker, at_once, "echo", description=ECHO)
    async with serving() as url:
        yield f"{url}/ogc"


@pytest.mark.slow
@pytest.mark.long_form
@pytest.mark.timeout(SECONDS + 120)
async def test_no_answer_is_an_error_of_the_server_or_unknown_to_the_definition(
    site: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    if not is_installed():
        missing("schemathesis")
    command = [
        *(sys.executable, "-m", "schemathesis.cli", "run", f"{site}/api", "--url", site, "--checks", ",".join(CHECKS), "--seed", "1"),
        *("--phases", "examples,coverage,fuzzing,stateful", "--max-time", str(SECONDS), "--max-examples", str(EXAMPLES)),
        *("--request-timeout", "30", "--suppress-health-check", "all", "--no-color", "--warnings", "off"),
        *("--generation-database", "none", "--continue-on-failure"),
    ]
    environment = {**os.environ, "COLUMNS": "140"}
    done = await asyncio.to_thread(run, *command, cwd=tmp_path, env=environment, timeout=SECONDS + 60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Traceback" not in caplog.text
