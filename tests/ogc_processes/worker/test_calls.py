"""A process called without a server."""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest

from processes.worker import BadInput, BBox, Job, JobCancelled, Worker
from processes.worker.values import to_json

worker = Worker("tests")


@worker.process(version="1")
def describe(text: str, size: int = 1, data: bytes | None = None, area: BBox | None = None) -> str:
    return f"{text} {size} {data!r} {area and area.bbox}"


@worker.process(version="1")
async def later(text: str, *, job: Job) -> str:
    job.progress(50)
    return f"{text} later for {job.user}"


def test_inputs_come_as_json_or_as_python_has_them() -> None:
    assert worker.call("describe", {"text": "a"}) == {"result": "a 1 None None"}
    values = {"text": "a", "size": 2, "data": "aGk=", "area": {"bbox": [1, 2, 3, 4]}}
    assert worker.call("describe", values) == {"result": "a 2 b'hi' (1.0, 2.0, 3.0, 4.0)"}
    assert worker.call("describe", {"text": "a", "data": b"hi"})["result"] == "a 1 b'hi' None"


def test_an_async_function_and_a_job_of_ones_own() -> None:
    assert worker.call("later", {"text": "a"}, Job(user="7")) == {"result": "a later for 7"}


@pytest.mark.parametrize(
    ("inputs", "name", "detail"),
    [
        ({}, "text", "missing"),
        ({"text": 1}, "text", "Expected `str`"),
        ({"text": "a", "nonsense": 1}, "nonsense", "no input"),
        ({"text": "a", "data": "%"}, "data", "base64"),
        ({"text": "a", "area": {"bbox": "here"}}, "area", "float"),
    ],
)
def test_a_bad_input_is_named(inputs: dict[str, Any], name: str, detail: str) -> None:
    with pytest.raises(BadInput, match=detail) as error:
        worker.call("describe", inputs)
    assert error.value.input == name and error.value.as_error()["status"] == 400


def test_a_cancelled_job_raises_where_it_reports() -> None:
    job = Job()
    job.cancel("timeout")
    for report in (lambda: job.progress(1), lambda: job.log("info", "x"), lambda: job.sleep(60), lambda: job.checkpoint(1)):
        with pytest.raises(JobCancelled, match="timeout"):
            report()


class Point(NamedTuple):
    x: float
    y: float


def test_results_become_json() -> None:
    numpy = pytest.importorskip("numpy")
    assert to_json({"p": Point(1, 2), "n": numpy.float32(1.5), "a": numpy.arange(2), "b": BBox((1.0, 2.0, 3.0, 4.0))}) == {
        "p": {"x": 1, "y": 2},
        "n": 1.5,
        "a": [0, 1],
        "b": {"bbox": [1.0, 2.0, 3.0, 4.0], "crs": "http://www.opengis.net/def/crs/OGC/1.3/CRS84"},
    }


def test_a_worker_that_no_server_can_take_ends_its_program_with_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("URL", "TOKEN"):
        monkeypatch.delenv(f"GEOSTREAM_WORKER_{name}", raising=False)
    with pytest.raises(SystemExit) as ended:
        Worker("nowhere").run()
    assert "GEOSTREAM_WORKER_URL" in str(ended.value) and "\n" not in str(ended.value)
