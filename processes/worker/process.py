"""A process: a function with its description, and how it is called with the inputs of a job."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

from .errors import BadInput, ProcessDefinitionError
from .job import Job
from .signature import as_outputs, signature_of
from .values import from_json

Retry = Literal["never", "safe"]
JOB_CONTROL = ("sync-execute", "async-execute", "dismiss")


class Process:
    """A function that can be offered. `retry="safe"`: it may be begun again on another worker when one was lost."""

    def __init__(
        self,
        function: Callable[..., Any],
        *,
        version: str,
        id: str = "",
        title: str = "",
        description: str = "",
        keywords: Sequence[str] = (),
        metadata: Sequence[Mapping[str, Any]] = (),
        job_control: Sequence[str] = (),
        retry: Retry = "never",
        max_attempts: int = 3,
        queue_seconds: float | None = None,
        run_seconds: float | None = None,
        concurrency: int | None = None,
        continuous: bool = False,
        result_check: Literal["fail", "warn"] = "fail",
    ) -> None:
        self.function = function
        self.is_async = inspect.iscoroutinefunction(function)
        self.signature = signature_of(function)
        self.id = id or function.__name__.strip("_").replace("_", "-")
        self.version = version
        self.concurrency = concurrency
        self.continuous = continuous
        control = list(job_control) or (["async-execute", "dismiss"] if continuous else list(JOB_CONTROL))
        if unknown := set(control) - set(JOB_CONTROL):
            raise ProcessDefinitionError(f"{self.id}: {', '.join(sorted(unknown))} is none of {', '.join(JOB_CONTROL)}")
        about = self.signature.about
        self.description: dict[str, Any] = {
            "id": self.id,
            "version": version,
            "title": title or about.title or self.id,
            **({"description": description or about.description} if description or about.description else {}),
            **({"keywords": list(keywords)} if keywords else {}),
            **({"metadata": [dict(each) for each in metadata]} if metadata else {}),
            "jobControlOptions": control,
            "outputTransmission": ["value", "reference"],
            "inputs": {name: each.describe() for name, each in self.signature.inputs.items()},
            "outputs": {name: each.describe() for name, each in self.signature.outputs.items()},
        }
        self.registration: dict[str, Any] = {
            "process": self.description,
            "retry": {"mode": retry, "maxAttempts": max_attempts},
            "timeouts": {key: value for key, value in (("queueSeconds", queue_seconds), ("runSeconds", run_seconds)) if value is not None},
            "resultCheck": result_check,
            "continuous": continuous,
        }

    def arguments(self, inputs: Mapping[str, Sequence[Any]], job: Job) -> dict[str, Any]:
        """What the function is called with: of each input the list of its occurrences, as JSON or bytes. `BadInput`."""
        if unknown := [name for name in inputs if name not in self.signature.inputs]:
            raise BadInput(f"{self.id} has no input {unknown[0]!r}", unknown[0])
        arguments: dict[str, Any] = {}
        for name, parameter in self.signature.inputs.items():
            if inputs.get(name):
                values = [from_json(value, parameter.hint, name) for value in inputs[name]]
                arguments[name] = values if parameter.many else values[0]
            elif parameter.required:
                raise BadInput(f"the input {name!r} is missing", name)
        if self.signature.job_parameter is not None:
            arguments[self.signature.job_parameter] = job
        return arguments

    def outputs(self, returned: Any) -> Mapping[str, Any]:
        """What the function returned, by the ids of the outputs."""
        return as_outputs(self.signature, returned)

    def call(self, inputs: Mapping[str, Any], job: Job | None = None) -> dict[str, Any]:
        """Call the function here and now with one value for each input (a list for one that may occur more than once)."""
        many = {name for name, each in self.signature.inputs.items() if each.many}
        occurrences = {name: value if name in many else [value] for name, value in inputs.items()}
        arguments = self.arguments(occurrences, job or Job(process=self.id))
        returned = self.function(**arguments)
        if self.is_async:
            returned = asyncio.run(returned)
        return dict(self.outputs(returned))
