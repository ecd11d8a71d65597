"""The messages of workers for the AsyncAPI document: JSON-RPC 2.0 both ways, with the parameters as the structs have them."""

from __future__ import annotations

from typing import Any

from processes.json_rpc import Code
from streaming.engine.message_types import MessageType, Schema, Sender, SocketDescription

from . import job_messages, worker_messages

_TEXT = {"type": "string"}
_UUID = {"type": "string", "format": "uuid"}
_TIME = {"type": "string", "format": "date-time"}
_ID = {"type": ["integer", "string"]}
_LEASE_MEMBERS: dict[str, Any] = {"jobID": _UUID, "attempt": {"type": "integer"}, "leaseID": _UUID}
_LEASE = {"jobID": "0b9cf9c2-7f0a-4b6f-9a55-6a3c3f0a8b11", "attempt": 1, "leaseID": "5f0d0c4e-9d38-4b8e-8f6e-0d7c5f1e2a22"}
_PROCESS = {
    "id": "buffer",
    "version": "1.0.0",
    "title": "Buffer",
    "jobControlOptions": ["async-execute"],
    "inputs": {"metres": {"schema": {"type": "number"}}},
    "outputs": {"area": {"schema": {"type": "object"}}},
}
PARAMETERS: dict[str, dict[str, Any]] = {
    "worker.hello": {"protocol": "1", "workerID": "gpu-7", "instanceID": "a1", "concurrency": 4, "resume": []},
    "process.register": {"process": _PROCESS, "retry": {"mode": "safe", "maxAttempts": 3}},
    "process.unregister": {"processID": "buffer", "version": "1.0.0"},
    "worker.heartbeat": {"jobs": [{**_LEASE, "progress": 40}], "free": 3},
    "worker.drain": {"deadlineSeconds": 30},
    "job.started": _LEASE,
    "job.progress": {**_LEASE, "progress": 40, "message": "reading"},
    "job.log": {**_LEASE, "level": "info", "message": "17 features"},
    "job.output": {**_LEASE, "outputID": "area", "part": {"value": {"type": "Polygon", "coordinates": []}}, "seq": 0, "last": True},
    "job.checkpoint": {**_LEASE, "data": {"row": 100}},
    "job.result": {**_LEASE, "outputs": {"area": {"value": {"type": "Polygon", "coordinates": []}}}},
    "job.fail": {**_LEASE, "error": {"title": "No features", "detail": "the layer is empty"}, "retryable": False},
    "job.cancelled": _LEASE,
}
"""An example for each method of workers."""
_SUMMARIES = {
    "job.started": "The worker has begun a job.",
    "job.cancelled": "The worker has ended a job that it was asked to end.",
    "worker.hello": "The first message: who the worker is, and which jobs it brings along.",
    "process.register": "Offers a process.",
    "process.unregister": "Offers a process no more.",
    "worker.heartbeat": "The worker lives, and has these jobs.",
    "worker.drain": "The worker wants no new jobs.",
    "job.progress": "How far a job is, in per cent.",
    "job.log": "A line for the log of a job.",
    "job.output": "A part of an output, before the job has ended.",
    "job.checkpoint": "What the job can be continued from.",
    "job.result": "The outputs of a job.",
    "job.fail": "Why a job failed.",
}


def _rpc(method: str, params: Schema, *required: str) -> dict[str, Any]:
    members = {"jsonrpc": {"const": "2.0"}, "id": _ID, "method": {"const": method}, "params": params}
    return {"type": "object", "required": ["jsonrpc", "method", *required], "properties": members}


def _params(required: tuple[str, ...] = (), **members: Any) -> dict[str, Any]:
    return {"type": "object", "required": [*required], "properties": members}


def _call(method: str, sender: Sender, params: Schema, summary: str, example: Any, request: bool = False) -> MessageType:
    frame = {"jsonrpc": "2.0", **({"id": "s-1"} if request else {}), "method": method, "params": example}
    return MessageType(method, sender, _rpc(method, params, *(("id",) if request else ())), summary, [frame])


_FAILURE = {
    "type": "object",
    "required": ["code", "message"],
    "properties": {"code": {"type": "integer"}, "message": _TEXT, "data": {}},
}
_CODES = ", ".join(f"{code.value} {code.name.lower()}" for code in Code)
_EXECUTE = _params(
    (*_LEASE_MEMBERS, "sent", "expires", "processID", "version", "inputs", "outputs", "context"),
    **_LEASE_MEMBERS,
    sent=_TIME,
    expires=_TIME,
    processID=_TEXT,
    version=_TEXT,
    deadline=_TIME,
    inputs={"type": "object"},
    outputs={"type": "object"},
    context={"type": "object"},
    checkpoint={},
)
_CANCEL = _params((*_LEASE_MEMBERS, "reason"), **_LEASE_MEMBERS, reason=_TEXT, graceSeconds={"type": "number"})
_JOB = {
    **_LEASE,
    **{"sent": "2026-01-31T12:00:00+00:00", "expires": "2026-01-31T12:01:00+00:00", "processID": "buffer", "version": "1.0.0"},
    **{"inputs": {"metres": 500}, "outputs": {}, "context": {"locale": "en"}},
}
_METHODS = {**worker_messages.METHODS, **job_messages.METHODS}

SOCKET = SocketDescription(
    "processes",
    "Workers of processes",
    ("/ws/processes",),
    "Programs that offer geoprocesses and are given jobs: JSON-RPC 2.0, without batches. Members that are unknown are ignored. "
    f"Error codes: {_CODES}.",
    (
        *(_call(method, "client", struct, _SUMMARIES[method], PARAMETERS[method]) for method, (struct, _) in _METHODS.items()),
        _call("job.execute", "server", _EXECUTE, "Gives the worker a job; it accepts or refuses with its answer.", _JOB, request=True),
        _call("job.cancel", "server", _CANCEL, "Asks the worker to end a job.", {**_LEASE, "reason": "dismissed"}, True),
        _call(
            "server.drain",
            "server",
            _params(reconnectAfterSeconds={"type": "number"}),
            "The server is about to end: connect again after so many seconds.",
            {"reconnectAfterSeconds": 2},
        ),
        MessageType(
            "result",
            "both",
            {
                "type": "object",
                "required": ["jsonrpc", "id", "result"],
                "properties": {"jsonrpc": {"const": "2.0"}, "id": _ID, "result": {}},
            },
            "The answer to a request.",
            [{"jsonrpc": "2.0", "id": 1, "result": {}}],
        ),
        MessageType(
            "failure",
            "both",
            {
                "type": "object",
                "required": ["jsonrpc", "id", "error"],
                "properties": {"jsonrpc": {"const": "2.0"}, "id": {"type": ["integer", "string", "null"]}, "error": _FAILURE},
            },
            "The refusal of a request; without an id if it could not be read.",
            [{"jsonrpc": "2.0", "id": 1, "error": {"code": -32002, "message": "say hello first"}}],
        ),
    ),
    "processes.md",
)
