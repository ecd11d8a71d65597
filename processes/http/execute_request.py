"""The body of an execute request: read and checked as a whole, before there is a job."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec

from processes import nul
from processes.descriptions import Fault, Given, ProcessDescription
from streaming.core.json_depth import exceeds_depth
from streaming.core.json_values import MAX_DEPTH, why_not_json
from streaming.engine.conf import conf
from streaming.engine.outgoing import AddressRefused, AddressRules

from .exceptions import INVALID_PARAMETER, OgcError, invalid_request

RESPONSES = ("raw", "document")
ADDRESSES = ("successUri", "inProgressUri", "failedUri")


@dataclass(frozen=True, slots=True)
class ExecuteRequest:
    """What is to be done."""

    inputs: dict[str, list[Given]]
    outputs: dict[str, dict[str, str]]
    """Empty: all of them."""
    response: str
    """raw or document; empty: the client has not said."""
    subscriber: dict[str, str] | None


def read_execute_request(body: bytes, description: ProcessDescription) -> ExecuteRequest:
    """Read a body. `OgcError` with all that is wrong in it."""
    members = _members(body)
    faults: list[Fault] = []
    inputs = _object(members, "inputs", faults)
    outputs = _object(members, "outputs", faults)
    response = members.get("response", "")
    if "response" in members and response not in RESPONSES:
        faults.append(Fault("/response", f"it is one of {', '.join(RESPONSES)}"))
    given, wrong = description.read_inputs(inputs)
    faults += [fault.within("/inputs") for fault in wrong]
    requested, wrong = description.read_outputs(outputs)
    faults += [fault.within("/outputs") for fault in wrong]
    subscriber = _subscriber(_object(members, "subscriber", faults), faults)
    if faults:
        raise invalid_request(faults)
    return ExecuteRequest(given, requested, response, subscriber)


def _members(body: bytes) -> dict[str, Any]:
    if not body.strip():
        return {}
    if exceeds_depth(body, MAX_DEPTH):
        raise not_json(f"it is nested more deeply than {MAX_DEPTH} levels")
    try:
        decoded = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise not_json(f"it is {why_not_json(body, error)}") from None
    if not isinstance(decoded, dict):
        raise not_json("it must be an object")
    if nul.ESCAPED in body and nul.has_nul(decoded):
        raise not_json(nul.WHY)
    return decoded


def not_json(why: str) -> OgcError:
    """The refusal of a body that cannot be read."""
    return OgcError(400, f"the body: {why}", type=INVALID_PARAMETER, title="Invalid parameter value")


def _object(members: dict[str, Any], name: str, faults: list[Fault]) -> dict[str, Any]:
    value = members.get(name, {})
    if isinstance(value, dict):
        return value
    faults.append(Fault(f"/{name}", "it must be an object"))
    return {}


def _subscriber(given: dict[str, Any], faults: list[Fault]) -> dict[str, str] | None:
    addresses = {}
    rules = AddressRules.allowing(conf.PROCESS_PRIVATE_ADDRESSES)
    for name in ADDRESSES:
        if name not in given:
            continue
        try:
            if not isinstance(given[name], str):
                raise AddressRefused("it must be a URL")
            rules.check(given[name])
        except AddressRefused as error:
            faults.append(Fault(f"/subscriber/{name}", str(error)))
        else:
            addresses[name] = given[name]
    return addresses or None
