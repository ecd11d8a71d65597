"""The description of a process, as a worker registers it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from typing import Any, Protocol

from . import documents
from .faults import Fault
from .inputs import Given, read_inputs, value_faults
from .outputs import part_faults, read_outputs
from .schema import Schema

SYNC, ASYNC, DISMISS = "sync-execute", "async-execute", "dismiss"
UNBOUNDED = "unbounded"


class Part(Protocol):
    """An output as a worker delivers it, or a part of one."""

    @property
    def output(self) -> str:
        """Its id."""

    @property
    def value(self) -> Any:
        """A value of JSON."""

    @property
    def blob(self) -> Any:
        """Or bytes that were stored."""

    @property
    def href(self) -> str:
        """Or a link."""

    @property
    def media_type(self) -> str:
        """Empty: not said."""


@dataclass(frozen=True, eq=False)
class InputDescription:
    """An input. Its schema is of one occurrence."""

    id: str
    data: Mapping[str, Any]
    schema: Schema
    at_least: int = 1
    at_most: int | None = 1
    """None: any number."""
    fetches: bool = True
    """Whether the server fetches what a link leads to, and checks it; else the worker is given the link."""


@dataclass(frozen=True, eq=False)
class OutputDescription:
    """An output."""

    id: str
    data: Mapping[str, Any]
    schema: Schema


@dataclass(frozen=True, eq=False)
class ProcessDescription:
    """One version of a process, valid and never changed. `data` is what the worker registered: schemas are JSON Schema 2020-12."""

    id: str
    version: str
    title: str
    inputs: Mapping[str, InputDescription]
    outputs: Mapping[str, OutputDescription]
    job_control: tuple[str, ...]
    transmission: tuple[str, ...]
    data: Mapping[str, Any]

    @staticmethod
    def parse(data: Any) -> ProcessDescription:
        """Read a description. `DescriptionError` with all that is wrong in it."""
        from .parsing import parse

        return parse(data)

    @cached_property
    def digest(self) -> str:
        """SHA-256 of what it says, however it is written: workers whose descriptions have the same one share jobs."""
        return sha256(json.dumps(self.data, sort_keys=True, separators=(",", ":")).encode()).hexdigest()

    @property
    def sync(self) -> bool:
        """Whether clients may wait for the result."""
        return SYNC in self.job_control

    @property
    def asynchronous(self) -> bool:
        """Whether clients may have it done in the background."""
        return ASYNC in self.job_control

    @cached_property
    def summary(self) -> dict[str, Any]:
        """As it is published in the list of processes, without links."""
        return documents.summary(self)

    @cached_property
    def document(self) -> dict[str, Any]:
        """As it is published, without links; schemas are those of OpenAPI 3.0."""
        return documents.document(self)

    def read_inputs(self, given: Mapping[str, Any]) -> tuple[dict[str, list[Given]], list[Fault]]:
        """The inputs of an execute request in one form: of each id, what occurs. And all that is wrong with them, but for what links
        lead to: see `given_faults`.
        """
        return read_inputs(self.inputs, given)

    def given_faults(self, given: Given, value: Any) -> list[Fault]:
        """What is wrong with a value that a link led to."""
        return value_faults(self.inputs[given.input], given, value)

    def read_outputs(self, requested: Mapping[str, Any]) -> tuple[dict[str, dict[str, str]], list[Fault]]:
        """The outputs of an execute request as {mediaType?, transmissionMode} of each, and all that is wrong with them."""
        return read_outputs(self.outputs, self.transmission, requested)

    def output_errors(self, parts: Sequence[Part], expected: Iterable[str] = ()) -> list[dict[str, str]]:
        """What is wrong with the outputs that a worker delivers, as `[{"pointer", "detail"}]`. `expected` ones must be there."""
        return [{"pointer": fault.pointer, "detail": fault.detail} for fault in part_faults(self.outputs, parts, expected)]
