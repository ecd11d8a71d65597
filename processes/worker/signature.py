"""The inputs and outputs of a process, from the signature of its function."""

from __future__ import annotations

import dataclasses
import inspect
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from .annotations import BBox, Input, Media, Output, Schema
from .docstrings import Docstring, Text, read_docstring, text_of
from .errors import ProcessDefinitionError
from .job import Job
from .schemas import annotation, is_optional, schema_of, split, without_none

RESULT = "result"
"""The id of a single output that has no other."""


@dataclass(frozen=True, slots=True)
class InputParameter:
    """One input: a parameter of the function."""

    name: str
    hint: Any
    """The type of one occurrence."""
    about: Input
    text: Text
    required: bool
    default: Any
    many: bool
    """Whether the parameter is a list of occurrences."""

    def describe(self) -> dict[str, Any]:
        """As in a process description."""
        schema = schema_of(self.hint)
        if not self.required and _is_json(self.default):
            schema = {**schema, "default": self.default}
        least = self.about.min_occurs if self.about.min_occurs is not None else int(self.required)
        occurs = {"minOccurs": least, "maxOccurs": self.about.max_occurs}
        return {**_described(self.text, self.about), "schema": schema, **occurs}


@dataclass(frozen=True, slots=True)
class OutputValue:
    """One output: what the function returns, or one field of that."""

    id: str
    hint: Any
    about: Output
    text: Text
    optional: bool

    def describe(self) -> dict[str, Any]:
        """As in a process description."""
        return {**_described(self.text, self.about), "schema": schema_of(self.hint)}

    @property
    def media_type(self) -> str:
        """Of its value, if that is known beforehand."""
        if media := annotation(self.hint, Media):
            return media.types[0]
        schema = annotation(self.hint, Schema)
        if schema is not None:
            return schema.media_type
        return "application/octet-stream" if split(self.hint)[0] is bytes else ""


@dataclass(frozen=True, slots=True)
class Signature:
    """What a function takes and returns."""

    inputs: dict[str, InputParameter]
    outputs: dict[str, OutputValue]
    job_parameter: str | None
    several: bool
    """Whether the function returns an object whose fields are the outputs."""
    about: Text


def signature_of(function: Callable[..., Any]) -> Signature:
    """The signature of a function. `ProcessDefinitionError`."""
    documented = read_docstring(function)
    hints = _hints(function)
    inputs, job_parameter = {}, None
    for parameter in inspect.signature(function).parameters.values():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD, parameter.POSITIONAL_ONLY):
            raise ProcessDefinitionError(f"{function.__qualname__}: {parameter} cannot be an input")
        if parameter.name not in hints:
            raise ProcessDefinitionError(f"{function.__qualname__}: the parameter {parameter.name} has no type")
        if hints[parameter.name] is Job:
            job_parameter = parameter.name
        else:
            inputs[parameter.name] = _input(parameter, hints[parameter.name], documented)
    if "return" not in hints:
        raise ProcessDefinitionError(f"{function.__qualname__} does not say what it returns")
    outputs, several = _outputs(hints["return"], documented)
    for each in (*(one.hint for one in inputs.values()), *(one.hint for one in outputs.values())):
        schema_of(each)  # what has none is noticed here
    return Signature(inputs, outputs, job_parameter, several, documented.about)


def _hints(function: Callable[..., Any]) -> dict[str, Any]:
    try:
        return typing.get_type_hints(function, include_extras=True)
    except NameError as error:
        raise ProcessDefinitionError(f"{function.__qualname__}: {error}; its types must be known where it is defined") from error


def _input(parameter: inspect.Parameter, hint: Any, documented: Docstring) -> InputParameter:
    about = annotation(hint, Input) or Input()
    one = hint if without_none(split(hint)[0]) is split(hint)[0] else _unwrapped(hint)
    many = about.max_occurs != 1
    if many:
        bare, _ = split(one)
        if typing.get_origin(bare) is not list:
            raise ProcessDefinitionError(f"{parameter.name} may occur more than once, so its type must be a list")
        one = typing.get_args(bare)[0]
    required = parameter.default is parameter.empty
    text = documented.items.get(parameter.name, Text(_spaced(parameter.name)))
    return InputParameter(parameter.name, one, about, text, required, parameter.default, many)


def _unwrapped(hint: Any) -> Any:
    """`X | None` as X, with what is said of it."""
    bare, metadata = split(hint)
    return typing.Annotated[(without_none(bare), *metadata)] if metadata else without_none(bare)


def _outputs(hint: Any, documented: Docstring) -> tuple[dict[str, OutputValue], bool]:
    bare, _ = split(hint)
    if bare is type(None):
        return {}, False
    if bare is not BBox and isinstance(bare, type) and (dataclasses.is_dataclass(bare) or hasattr(bare, "_fields")):
        fields = typing.get_type_hints(bare, include_extras=True)
        texts = read_docstring(bare).items
        return {name: _output(name, fields[name], texts.get(name, Text(_spaced(name)))) for name in fields}, True
    about = annotation(hint, Output)
    single = _output(about.id if about and about.id else RESULT, hint, documented.returns)
    return {single.id: single}, False


def _output(name: str, hint: Any, text: Text) -> OutputValue:
    optional = is_optional(hint)
    about = annotation(hint, Output) or Output()
    return OutputValue(name, _unwrapped(hint) if optional else hint, about, text if text.title else Text(_spaced(name)), optional)


def _described(text: Text, about: Input | Output) -> dict[str, Any]:
    title, description = about.title or text.title, about.description or text.description
    metadata = [dict(each) for each in about.metadata]
    return {"title": title, **({"description": description} if description else {}), **({"metadata": metadata} if metadata else {})}


def _is_json(value: Any) -> bool:
    return isinstance(value, str | int | float | bool | list | dict)


def _spaced(name: str) -> str:
    text = name.replace("_", " ").strip()
    return text_of(text[:1].upper() + text[1:]).title


def as_outputs(signature: Signature, returned: Any) -> Mapping[str, Any]:
    """What the function returned, by the ids of the outputs. Those that are optional and None are left out."""
    if not signature.several:
        values = dict.fromkeys(signature.outputs, returned)
    else:
        values = {name: getattr(returned, name) for name in signature.outputs}
    return {name: value for name, value in values.items() if not (value is None and signature.outputs[name].optional)}
