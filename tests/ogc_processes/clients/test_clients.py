"""Other people's clients, end to end: discover, execute and wait, execute and come back, dismiss."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import missing
from tests.ogc_processes.http.conftest import anonymous_may, echoing, worker
from tests.ogc_processes.live import serving
from tests.ogc_processes.played_worker import PlayedWorker
from tests.processes import run

__all__ = ["anonymous_may", "echoing", "worker"]

HERE = Path(__file__).parent
INPUTS = ["text", "pause", "numbers", "blob", "area"]
RESULT = {"text": "teststring", "numbers": [1, 2]}


@pytest.fixture
async def site(anonymous_may: None, echoing: PlayedWorker) -> AsyncIterator[str]:
    """The address of the API of a running server with the echo process."""
    async with serving() as url:
        yield f"{url}/ogc"


async def used_by(client: str, site: str) -> Any:
    """What one of the programs beside this file has found."""
    python = os.environ.get("GEOSTREAM_OGC_CLIENTS", "")
    if not python:
        missing("the clients of tests/ogc_processes/clients/requirements.txt (GEOSTREAM_OGC_CLIENTS)")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "PYTEST_", "COV_"))}
    done = await asyncio.to_thread(run, python, HERE / f"with_{client}.py", site, env=environment, timeout=50)
    return json.loads(done.stdout)


@pytest.mark.slow
async def test_owslib(site: str) -> None:
    found = await used_by("owslib", site)
    assert found["core"] and found["processes"] == ["echo"] and found["inputs"] == INPUTS
    assert "/processes/echo/execution" in found["paths"]
    assert found["document"] == RESULT and found["raw"] == {"text": "teststring"}
    assert found["job"]["status"] == "accepted" and found["location"] == f"{site}/jobs/{found['job']['jobID']}"


@pytest.mark.slow
async def test_ogc_api_processes_client(site: str) -> None:
    found = await used_by("eoepca", site)
    assert (found["title"], found["processes"], found["inputs"]) == ("GeoStream processes", ["echo"], INPUTS)
    assert (found["accepted"], found["ended"], found["dismissed"]) == ("accepted", ["successful", 100, "echo"], "dismissed")
    (result,) = found["result"].values()
    assert result["href"].startswith(f"{site}/jobs/") and result["href"].endswith("/results/text")
    assert found["jobs"] == ["dismissed", "successful"]


@pytest.mark.slow
async def test_cuiman(site: str) -> None:
    found = await used_by("cuiman", site)
    assert (found["title"], found["processes"], found["inputs"]) == ("GeoStream processes", ["echo"], INPUTS)
    assert (found["accepted"], found["ended"], found["dismissed"]) == ("accepted", ["successful", 100, "echo"], "dismissed")
    assert found["results"] == RESULT
    assert found["jobs"] == ["dismissed", "successful"]
