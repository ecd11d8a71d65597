"""A typed function with a docstring describes a process."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Annotated, Any, Literal, NamedTuple

import pytest

from processes.worker import BBox, FeatureCollection, Geometry, Input, Job, Media, Output, ProcessDefinitionError, Worker
from processes.worker.process import Process
from tests.processes import run


def described(function: Any, **options: Any) -> dict[str, Any]:
    return Process(function, version="1.0.0", **options).description


def buffer(geometry: Geometry, distance: Annotated[float, Input(minimum=0)] = 100.0, *, job: Job) -> Geometry:
    """Buffer. Grows a geometry by a distance.

    On the ellipsoid.

    Args:
        geometry: What is grown.
        distance: How far, in metres. It is measured
            on the ground.

    Returns:
        The larger geometry.
    """
    return geometry


def test_the_docstring_gives_titles_and_descriptions() -> None:
    found = described(buffer)
    assert (found["id"], found["title"]) == ("buffer", "Buffer")
    assert found["description"] == "Grows a geometry by a distance.\n\nOn the ellipsoid."
    assert found["inputs"]["distance"]["title"] == "How far, in metres"
    assert found["inputs"]["distance"]["description"] == "It is measured on the ground."
    assert found["outputs"]["result"]["title"] == "The larger geometry"


def test_the_job_is_no_input_and_a_default_makes_an_input_optional() -> None:
    inputs = described(buffer)["inputs"]
    assert list(inputs) == ["geometry", "distance"]
    assert (inputs["geometry"]["minOccurs"], inputs["distance"]["minOccurs"]) == (1, 0)
    assert inputs["distance"]["schema"] == {"type": "number", "minimum": 0, "default": 100.0}
    assert inputs["geometry"]["schema"]["format"] == "geojson-geometry"


@pytest.mark.parametrize(
    ("hint", "schema"),
    [
        (str, {"type": "string"}),
        (bool, {"type": "boolean"}),
        (list[int], {"type": "array", "items": {"type": "integer"}}),
        (Literal["a", "b"], {"type": "string", "enum": ["a", "b"]}),
        (int | None, {"type": "integer"}),
        (Annotated[int | None, Input(maximum=5)], {"type": "integer", "maximum": 5}),
        (dict, {"type": "object"}),
        (dict[str, Any], {"type": "object"}),
        (bytes, {"type": "string", "contentEncoding": "binary", "contentMediaType": "application/octet-stream"}),
        (Annotated[bytes, Media("image/png")], {"type": "string", "contentEncoding": "binary", "contentMediaType": "image/png"}),
        (int | str, {"anyOf": [{"type": "integer"}, {"type": "string"}]}),
        (list[str | None], {"type": "array", "items": {"type": ["string", "null"]}}),
    ],
)
def test_types_have_schemas(hint: Any, schema: dict[str, Any]) -> None:
    def function(value):
        return None

    function.__annotations__ = {"value": hint, "return": None}
    assert described(function)["inputs"]["value"]["schema"] == schema


def test_several_media_types_are_branches_and_a_box_names_its_format_first() -> None:
    def convert(image: Annotated[bytes, Media("image/png", "image/jpeg")], area: BBox) -> None: ...

    inputs = described(convert)["inputs"]
    assert [each["contentMediaType"] for each in inputs["image"]["schema"]["oneOf"]] == ["image/png", "image/jpeg"]
    assert inputs["area"]["schema"]["allOf"][0] == {"format": "ogc-bbox"}


class Statistics(NamedTuple):
    """Numbers.

    Attributes:
        mean: The mean. Of all cells.
        count: How many.
    """

    mean: float
    count: Annotated[int, Output(title="Cells")]
    image: Annotated[bytes | None, Media("image/png")] = None


@dataclass
class Pair:
    left: str
    right: str | None = None


def test_the_fields_of_what_is_returned_are_the_outputs() -> None:
    def statistics(n: int) -> Statistics:
        return Statistics(n / 2, n)

    worker = Worker("w")
    worker.process(version="1")(statistics)
    outputs = worker.processes["statistics"].description["outputs"]
    assert [outputs[name]["title"] for name in outputs] == ["The mean", "Cells", "Image"]
    assert outputs["image"]["schema"]["contentMediaType"] == "image/png"
    assert worker.call("statistics", {"n": 4}) == {"mean": 2.0, "count": 4}


def test_a_single_output_may_have_an_id() -> None:
    def cut(n: int) -> Annotated[FeatureCollection, Output(id="pieces")]: ...

    assert list(described(cut)["outputs"]) == ["pieces"]


def test_inputs_that_occur_more_than_once_are_lists() -> None:
    worker = Worker("w")

    @worker.process(version="1")
    def union(parts: Annotated[list[int], Input(max_occurs="unbounded")]) -> list[int]:
        return parts

    described_input = worker.processes["union"].description["inputs"]["parts"]
    assert described_input["schema"] == {"type": "integer"} and described_input["maxOccurs"] == "unbounded"
    assert worker.call("union", {"parts": [1, 2]}) == {"result": [1, 2]}


def test_a_continuous_process_is_asynchronous() -> None:
    def follow(layer: str) -> None: ...

    assert described(follow, continuous=True)["jobControlOptions"] == ["async-execute", "dismiss"]


def untyped(value): ...
def no_return(value: int): ...
def no_schema(value: object()) -> None: ...  # type: ignore[valid-type]
def variadic(*values: int) -> None: ...


@pytest.mark.parametrize("function", [untyped, no_return, variadic])
def test_what_cannot_be_described_is_refused_where_it_is_defined(function: Any) -> None:
    with pytest.raises(ProcessDefinitionError, match=function.__name__):
        described(function)


def test_the_sdk_imports_nothing_of_the_server() -> None:
    program = "import sys, processes.worker; print(*(m for m in ('django', 'streaming', 'channels', 'jsonschema') if m in sys.modules))"
    assert run(sys.executable, "-c", program).stdout.strip() == ""
