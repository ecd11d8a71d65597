"""JSON-RPC 2.0: one message in a frame, no batches, parameters by name. Both ends of the worker protocol use it."""

from __future__ import annotations

from enum import IntEnum
from typing import Any

import msgspec

Id = int | str | None


class Code(IntEnum):
    """Error codes: those of JSON-RPC, and those of the worker protocol."""

    PARSE_ERROR = -32700
    INVALID_REQUEST = -32600
    METHOD_NOT_FOUND = -32601
    INVALID_PARAMS = -32602
    INTERNAL = -32603
    NOT_AUTHORISED = -32001
    HELLO_FIRST = -32002
    NO_SUCH_JOB = -32010
    LEASE_LOST = -32011
    JOB_ENDED = -32012
    INVALID_DESCRIPTION = -32020
    ID_TAKEN = -32021
    VERSION_DIFFERS = -32022
    BUSY = -32030
    REJECTED = -32031
    TOO_LARGE = -32040
    RATE = -32041
    DRAINING = -32050


class RpcError(Exception):
    """A request that was refused."""

    def __init__(self, code: int, message: str, data: Any = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.data = data


class Request(msgspec.Struct, frozen=True):
    """A request, or a notification, which has no id."""

    method: str
    params: msgspec.Raw
    id: Id = None
    notification: bool = False


class Response(msgspec.Struct, frozen=True):
    """The answer to a request."""

    id: Id
    result: msgspec.Raw
    error: dict[str, Any] | None = None


class _Frame(msgspec.Struct):
    jsonrpc: str = ""
    id: Id | msgspec.UnsetType = msgspec.UNSET
    method: str | msgspec.UnsetType = msgspec.UNSET
    params: msgspec.Raw = msgspec.Raw(b"{}")
    result: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    error: dict[str, Any] | msgspec.UnsetType = msgspec.UNSET


_decoder = msgspec.json.Decoder(_Frame)


def read(frame: str | bytes) -> Request | Response:
    """The message of a frame. `RpcError` with PARSE_ERROR or INVALID_REQUEST."""
    try:
        message = _decoder.decode(frame)
    except msgspec.ValidationError as error:
        raise RpcError(Code.INVALID_REQUEST, f"not a JSON-RPC 2.0 message: {error}") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise RpcError(Code.PARSE_ERROR, f"not JSON: {error}") from None
    if message.jsonrpc != "2.0":
        raise RpcError(Code.INVALID_REQUEST, 'not a JSON-RPC 2.0 message: "jsonrpc" must be "2.0"')
    if isinstance(message.method, str):
        notification = message.id is msgspec.UNSET
        return Request(message.method, message.params, None if message.id is msgspec.UNSET else message.id, notification)
    if message.id is msgspec.UNSET or (message.result is msgspec.UNSET) == (message.error is msgspec.UNSET):
        raise RpcError(Code.INVALID_REQUEST, "neither a request nor an answer")
    result = msgspec.Raw(b"null") if message.result is msgspec.UNSET else message.result
    return Response(message.id, result, None if message.error is msgspec.UNSET else message.error)


def request(id: Id, method: str, params: Any) -> bytes:
    """The frame of a request."""
    return msgspec.json.encode({"jsonrpc": "2.0", "id": id, "method": method, "params": params})


def notification(method: str, params: Any) -> bytes:
    """The frame of a notification."""
    return msgspec.json.encode({"jsonrpc": "2.0", "method": method, "params": params})


def result(id: Id, value: Any) -> bytes:
    """The frame of an answer."""
    return msgspec.json.encode({"jsonrpc": "2.0", "id": id, "result": value})


def failure(id: Id, error: RpcError) -> bytes:
    """The frame of a refusal."""
    data = {} if error.data is None else {"data": error.data}
    return msgspec.json.encode({"jsonrpc": "2.0", "id": id, "error": {"code": int(error.code), "message": error.message, **data}})


def raised(error: dict[str, Any]) -> RpcError:
    """The refusal that an answer has."""
    code = error.get("code")
    return RpcError(code if isinstance(code, int) else Code.INTERNAL, str(error.get("message", "")), error.get("data"))
