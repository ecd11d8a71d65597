"""A worker with the built-in processes, and what they are tried on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from processes.builtin.offers import offer
from processes.worker import Job, Worker

Call = Callable[..., Any]


@pytest.fixture(scope="session")
def builtin() -> Worker:
    return offer(Worker("tests"))


@pytest.fixture
def call(builtin: Worker) -> Call:
    """Calls a process and returns its only output."""

    def call(process: str, job: Job | None = None, /, **inputs: Any) -> Any:
        (output,) = builtin.call(process, inputs, job or Job("job", process=process)).values()
        return output

    return call


def feature(geometry: Any, id: Any = None, **properties: Any) -> dict[str, Any]:
    return {"type": "Feature", **({} if id is None else {"id": id}), "geometry": geometry, "properties": properties}


def collection(*features: dict[str, Any]) -> dict[str, Any]:
    return {"type": "FeatureCollection", "features": list(features)}
