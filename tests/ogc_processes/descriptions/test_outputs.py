"""The outputs that are asked for, and those that workers deliver."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from processes.descriptions import ProcessDescription
from processes.jobs.outcomes import OutputPart

from .examples import ECHO, echo

REFERENCE = {"transmissionMode": "reference"}


def test_outputs_are_read_with_their_format_and_transmission() -> None:
    requested = {"text": {}, "blob": {"format": {"mediaType": "image/tiff"}, **REFERENCE}}
    assert echo().read_outputs(requested) == (
        {"text": {"transmissionMode": "value"}, "blob": {"transmissionMode": "reference", "mediaType": "image/tiff"}},
        [],
    )


@pytest.mark.parametrize(
    ("requested", "pointer"),
    [
        ({"colour": {}}, "/colour"),
        ({"text": []}, "/text"),
        ({"text": {"transmissionMode": "post"}}, "/text/transmissionMode"),
        ({"blob": {"format": {"mediaType": "image/png"}}}, "/blob/format/mediaType"),
        ({"blob": {"format": "image/png"}}, "/blob/format"),
        ({"blob": {"format": {"mediaType": 1}}}, "/blob/format"),
    ],
)
def test_outputs_that_cannot_be_had_are_refused(requested: Any, pointer: str) -> None:
    assert [fault.pointer for fault in echo().read_outputs(requested)[1]] == [pointer]


def test_a_process_that_delivers_by_reference_only_does_so_unasked() -> None:
    description = ProcessDescription.parse({**ECHO, "outputTransmission": ["reference"]})
    assert description.read_outputs({"text": {}})[0] == {"text": REFERENCE}
    assert description.read_outputs({"text": {"transmissionMode": "value"}})[1]


def test_right_outputs_have_no_errors() -> None:
    parts = [OutputPart("text", "a"), OutputPart("numbers", [1]), OutputPart("blob", "aGk=", media_type="image/tiff")]
    assert echo().output_errors(parts, expected=["text", "numbers", "blob"]) == []
    assert echo().output_errors([OutputPart("blob", blob=uuid.uuid4()), OutputPart("text", href="http://a/b")]) == []


@pytest.mark.parametrize(
    ("part", "pointer"),
    [
        (OutputPart("colour", 1), "/colour"),
        (OutputPart("text", 1), "/text"),
        (OutputPart("numbers", [1, "a"]), "/numbers/1"),
        (OutputPart("blob", "hi!"), "/blob"),
        (OutputPart("blob", blob=uuid.uuid4(), media_type="image/png"), "/blob"),
    ],
)
def test_wrong_outputs_are_named_with_their_place(part: OutputPart, pointer: str) -> None:
    assert [error["pointer"] for error in echo().output_errors([part])] == [pointer]


def test_what_is_missing_is_named() -> None:
    assert echo().output_errors([OutputPart("text", "a")], expected=["text", "blob"]) == [
        {"pointer": "/blob", "detail": "this output is missing"}
    ]
