"""Reads descriptions of processes, with all their faults at once."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from streaming.core.json_values import NotJson, as_json

from .description import ASYNC, DISMISS, SYNC, UNBOUNDED, InputDescription, OutputDescription, ProcessDescription
from .faults import DescriptionError, Fault, pointer_to
from .schema import Schema, schema_faults

ID = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._~:-]{0,199}", re.ASCII)
ID_MEANS = "1 to 200 of the characters A-Z a-z 0-9 . _ ~ : -, the first a letter, a digit or _"
LONGEST_VERSION = 100
MOST_VALUES = 200
"""Inputs, and outputs, of one process."""
JOB_CONTROL = (SYNC, ASYNC, DISMISS)
TRANSMISSION = ("value", "reference")
BY_REFERENCE = ("fetch", "pass")

_Check = Callable[[Any], bool]


def parse(data: Any) -> ProcessDescription:
    """Read a description. `DescriptionError`."""
    try:
        copy = as_json(data, "description")
    except NotJson as error:
        raise DescriptionError([Fault("", str(error))]) from None
    if not isinstance(copy, dict):
        raise DescriptionError([Fault("", "a description is an object")])
    reading = _Reading()
    description = reading.description(copy)
    if reading.faults:
        raise DescriptionError(reading.faults)
    return description


class _Reading:
    def __init__(self) -> None:
        self.faults: list[Fault] = []

    def description(self, data: dict[str, Any]) -> ProcessDescription:
        self._require(data, "", "id", _is_id, f"the id must be {ID_MEANS}")
        self._require(data, "", "version", _is_version, f"the version must be a text of 1 to {LONGEST_VERSION} characters")
        self._texts(data, "")
        self._choices(data, "jobControlOptions", JOB_CONTROL)
        self._choices(data, "outputTransmission", TRANSMISSION)
        control = data.get("jobControlOptions", JOB_CONTROL)
        if isinstance(control, list) and not {SYNC, ASYNC} & {each for each in control if isinstance(each, str)}:
            self._fault("/jobControlOptions", f"a process is {SYNC}, {ASYNC} or both")
        inputs = {name: self._input(name, each) for name, each in self._members(data, "inputs")}
        outputs = {name: self._output(name, each) for name, each in self._members(data, "outputs")}
        transmission = data.get("outputTransmission", TRANSMISSION)
        return ProcessDescription(
            id=data.get("id", ""),
            version=data.get("version", ""),
            title=data.get("title") or data.get("id", ""),
            inputs=inputs,
            outputs=outputs,
            job_control=tuple(control) if isinstance(control, list | tuple) else JOB_CONTROL,
            transmission=tuple(transmission) if isinstance(transmission, list | tuple) else TRANSMISSION,
            data=data,
        )

    def _input(self, name: str, data: dict[str, Any]) -> InputDescription:
        at = f"/inputs{pointer_to([name])}"
        self._texts(data, at)
        least, most = data.get("minOccurs", 1), data.get("maxOccurs", 1)
        if not _is_count(least, 0):
            self._fault(f"{at}/minOccurs", "minOccurs is a whole number, 0 or more")
        elif most != UNBOUNDED and not _is_count(most, max(least, 1)):
            self._fault(f"{at}/maxOccurs", f"maxOccurs is a whole number, minOccurs or more, or {UNBOUNDED!r}")
        if data.get("byReference", "fetch") not in BY_REFERENCE:
            self._fault(f"{at}/byReference", f"byReference is one of {', '.join(BY_REFERENCE)}")
        return InputDescription(
            name,
            data,
            self._schema(data, at),
            at_least=least if isinstance(least, int) else 1,
            at_most=None if most == UNBOUNDED else most if isinstance(most, int) else 1,
            fetches=data.get("byReference", "fetch") == "fetch",
        )

    def _output(self, name: str, data: dict[str, Any]) -> OutputDescription:
        at = f"/outputs{pointer_to([name])}"
        self._texts(data, at)
        return OutputDescription(name, data, self._schema(data, at))

    def _schema(self, data: dict[str, Any], at: str) -> Schema:
        schema = data.get("schema")
        self.faults += [fault.within(f"{at}/schema") for fault in schema_faults(schema)]
        return Schema(schema if isinstance(schema, dict) else {})

    def _members(self, data: dict[str, Any], name: str) -> list[tuple[str, dict[str, Any]]]:
        members = data.get(name, {})
        if not isinstance(members, dict):
            self._fault(f"/{name}", f"{name} is an object, with a member for each id")
            return []
        if len(members) > MOST_VALUES:
            self._fault(f"/{name}", f"a process has at most {MOST_VALUES} {name}")
            return []
        for key, each in members.items():
            at = f"/{name}{pointer_to([key])}"
            if not _is_id(key):
                self._fault(at, f"an id must be {ID_MEANS}")
            if not isinstance(each, dict):
                self._fault(at, "it must be an object with a schema")
        return [(key, each) for key, each in members.items() if isinstance(each, dict)]

    def _texts(self, data: dict[str, Any], at: str) -> None:
        """What people read. Texts in several languages are for the worker to choose from."""
        for name in ("title", "description"):
            self._check(data, at, name, _is_text, f"{name} must be a text")
        self._check(data, at, "keywords", lambda value: _is_list(value, _is_text), "keywords are a list of texts")
        self._check(data, at, "metadata", lambda value: _is_list(value, _is_metadata), "metadata are a list of {title, role, href}")
        self._check(
            data,
            at,
            "additionalParameters",
            _is_additional,
            "additionalParameters are {title, role, href, parameters: [{name, value: []}]}",
        )

    def _choices(self, data: dict[str, Any], name: str, known: tuple[str, ...]) -> None:
        meaning = f"{name} is a list of some of {', '.join(known)}"
        self._check(data, "", name, lambda value: _is_list(value, lambda each: each in known) and bool(value), meaning)

    def _require(self, data: dict[str, Any], at: str, name: str, check: _Check, meaning: str) -> None:
        if name not in data or not check(data[name]):
            self._fault(f"{at}/{name}", meaning)

    def _check(self, data: Mapping[str, Any], at: str, name: str, check: _Check, meaning: str) -> None:
        if name in data and not check(data[name]):
            self._fault(f"{at}/{name}", meaning)

    def _fault(self, pointer: str, detail: str) -> None:
        self.faults.append(Fault(pointer, detail))


def _is_id(value: Any) -> bool:
    return isinstance(value, str) and ID.fullmatch(value) is not None


def _is_version(value: Any) -> bool:
    return isinstance(value, str) and 0 < len(value) <= LONGEST_VERSION


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_count(value: Any, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def _is_list(value: Any, check: _Check) -> bool:
    return isinstance(value, list) and all(map(check, value))


def _is_metadata(value: Any) -> bool:
    return isinstance(value, dict) and all(_is_text(value[name]) for name in ("title", "role", "href") if name in value)


def _is_additional(value: Any) -> bool:
    return _is_metadata(value) and _is_list(value.get("parameters", []), _is_parameter)


def _is_parameter(value: Any) -> bool:
    return isinstance(value, dict) and _is_text(value.get("name")) and isinstance(value.get("value"), list)
