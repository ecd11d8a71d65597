"""The one table of errors and of close codes.

Every refusal anywhere in GeoStream is a `StreamError` with a code of this table; each dialect renders it in its own way
(an `ack` or `error` message, an HTTP answer, a close frame). Codes are stable: they are never renamed or reused.
`docs/errors.md` is checked against these tables by a test.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum


@dataclass(frozen=True, slots=True)
class ErrorKind:
    """What one error code means: its HTTP status and whether repeating the same request later can help."""

    code: str
    status: int
    retry: bool
    meaning: str


_KINDS = (
    ErrorKind("bad_frame", 400, False, "the frame is not a message of any encoding the server knows"),
    ErrorKind("bad_request", 400, False, "the message is understood but something in it is missing or of the wrong type"),
    ErrorKind("invalid_bbox", 400, False, "the box is not four finite numbers within the world, south below north"),
    ErrorKind("invalid_geometry", 400, False, "the geometry is not a valid GeoJSON geometry of a kind that is accepted here"),
    ErrorKind("invalid_circle", 400, False, "the circle is not a centre within the world with a radius in metres"),
    ErrorKind("invalid_datetime", 400, False, "the time interval cannot be read"),
    ErrorKind("invalid_filter", 400, False, "the attribute filter or CQL2 expression cannot be read"),
    ErrorKind("invalid_crs", 400, False, "the coordinate reference system does not exist or cannot be reached from WGS 84"),
    ErrorKind("invalid_cursor", 400, False, "the cursor is not one this server gave"),
    ErrorKind("invalid_feature", 400, False, "the feature is not valid GeoJSON (RFC 7946)"),
    ErrorKind("invalid_style", 400, False, "the style of a layer is not one: the message says what is wrong and where"),
    ErrorKind("invalid_path", 400, False, "the path of a file is not one that every system can have"),
    ErrorKind("unsupported_version", 400, False, "the protocol version is not 1"),
    ErrorKind("unsupported_type", 400, False, "messages of this type are not accepted from a client"),
    ErrorKind("unauthenticated", 401, False, "this needs a logged-in user or a token"),
    ErrorKind("token_invalid", 401, False, "the token or ticket is forged, malformed, used up or of another site"),
    ErrorKind("token_expired", 401, False, "the token has expired"),
    ErrorKind("forbidden", 403, False, "the user may not do this"),
    ErrorKind("banned", 403, False, "an operator has banned the user or the address for a time"),
    ErrorKind("not_found", 404, False, "there is nothing at this path (HTTP)"),
    ErrorKind("unknown_layer", 404, False, "there is no layer of this name that you may read"),
    ErrorKind("unknown_feature", 404, False, "the layer has no feature of this id"),
    ErrorKind("unknown_subscription", 404, False, "this connection has no subscription of this id"),
    ErrorKind("unknown_tileset", 404, False, "there is no tileset of this name that you may read"),
    ErrorKind("unknown_dictionary", 404, False, "the layer has no such dictionary (any more); the newest one is named to subscribers"),
    ErrorKind("unknown_tile", 404, False, "the tileset has no tile there: outside its zooms or bounds, or of another format"),
    ErrorKind("method_not_allowed", 405, False, "the path does not take this method (HTTP)"),
    ErrorKind("handshake_timeout", 408, True, "it took too long to find out who connects, or a client without a login sent nothing"),
    ErrorKind("duplicate_subscription", 409, False, "this connection already has a subscription of this id"),
    ErrorKind("wrong_tileset_kind", 409, False, "the tileset is of a kind that does not take this"),
    ErrorKind("exists", 409, False, "there is a file or a directory of this path already"),
    ErrorKind("is_directory", 409, False, "the path is a directory, not a file"),
    ErrorKind("not_a_directory", 409, False, "the path goes through something that is not a directory"),
    ErrorKind("not_empty", 409, False, "the directory is not empty"),
    ErrorKind(
        "case_conflict", 409, False, "another path differs from this one only in upper and lower case, or in how its characters are written"
    ),
    ErrorKind("not_stored", 409, False, "the server does not have the content that is announced: upload it first"),
    ErrorKind("precondition_failed", 412, False, "the feature, layer or file is not, or no longer, of a version that the request names"),
    ErrorKind("too_large", 413, False, "the message, body or feature is larger than the limit"),
    ErrorKind("unsupported_media_type", 415, False, "the body is of a type that is not taken here (HTTP)"),
    ErrorKind("invalid_range", 416, False, "the range of bytes is not in the file"),
    ErrorKind("hash_mismatch", 422, False, "what was received does not have the hash that was given with it; nothing was stored"),
    ErrorKind("idempotency_key_reused", 422, False, "another request was sent with this Idempotency-Key"),
    ErrorKind("invalid_source", 422, False, "the source of a tileset cannot be read, or is where it may not be"),
    ErrorKind("invalid_tile", 422, False, "the tile is not a whole one of the tileset's format and size"),
    ErrorKind("invalid_image", 422, False, "the image cannot be painted: it is no whole GeoTIFF, has no place on the map, or is too large"),
    ErrorKind("too_many_tiles", 422, False, "the box holds more tiles than may be asked for at once"),
    ErrorKind("too_many_cells", 422, False, "the aggregate would have more cells than one may have: ask for larger ones"),
    ErrorKind("busy", 423, True, "somebody else is changing this path; or too much is published to the layer for it to be renamed"),
    ErrorKind("too_many_subscriptions", 429, False, "the connection has as many subscriptions as it may"),
    ErrorKind("too_many_aggregates", 429, True, "the process or the connection has as many aggregates as it may"),
    ErrorKind("too_many_filters", 429, True, "the process or the connection has as many costly filters (CQL2, geometries) as it may"),
    ErrorKind("too_many_connections", 429, True, "the server, the address or the user has as many connections as it may"),
    ErrorKind("rate_limited", 429, True, "too many requests in a short time"),
    ErrorKind("layer_full", 507, False, "the layer holds as many features as it may"),
    ErrorKind("tileset_full", 507, False, "the tileset holds as many pushed tiles or painted images as it may"),
    ErrorKind("folder_full", 507, False, "the folder holds as many files or bytes as it may, or the disk is full"),
    ErrorKind("folder_unavailable", 503, True, "the folder of files was removed or replaced on the server's disk"),
    ErrorKind("redis_unavailable", 503, True, "Redis does not answer; nothing was stored"),
    ErrorKind("internal", 500, True, "something went wrong in the server; it is in the log"),
)

ERRORS: dict[str, ErrorKind] = {kind.code: kind for kind in _KINDS}


def declare_errors(kinds: Iterable[ErrorKind]) -> None:
    """Add the codes of an installed part. `ValueError` for a code that means something else already."""
    for kind in kinds:
        if ERRORS.setdefault(kind.code, kind) != kind:
            raise ValueError(f"the error code {kind.code!r} is taken")


class StreamError(Exception):
    """A refusal with a stable code. `message` is for people and tells them what to do."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.kind = ERRORS[code]
        self.message = message

    @property
    def code(self) -> str:
        """The stable code."""
        return self.kind.code


class CloseCode(IntEnum):
    """Why the server closes a connection. 44xx: do not reconnect unchanged; 45xx and 1012: reconnect with backoff."""

    TOO_BIG = 1009
    RESTART = 1012
    BAD_PROTOCOL = 4400
    UNAUTHENTICATED = 4401
    FORBIDDEN = 4403
    NOT_FOUND = 4404
    SUPERSEDED = 4409
    DISCONNECTED = 4410
    BANNED = 4411
    FLOODING = 4429
    IDLE = 4508
    HANDSHAKE_TIMEOUT = 4509
    SLOW = 4513
    OVERLOADED = 4529
    UNRESPONSIVE = 4530


CLOSE_MEANINGS: dict[CloseCode, str] = {
    CloseCode.TOO_BIG: "a message was larger than the limit",
    CloseCode.RESTART: "the server is restarting; reconnect",
    CloseCode.BAD_PROTOCOL: "the protocol version is unknown, or too many frames could not be decoded",
    CloseCode.UNAUTHENTICATED: "the token or ticket is not valid or has expired, or the login has ended (logout, password, inactive user)",
    CloseCode.FORBIDDEN: "the Origin is not allowed",
    CloseCode.NOT_FOUND: "there is no WebSocket endpoint at this path",
    CloseCode.SUPERSEDED: "a newer connection of the same worker, or file sync client, has taken its place",
    CloseCode.DISCONNECTED: "an operator ended the connection",
    CloseCode.BANNED: "an operator has banned the user or the address for a time",
    CloseCode.FLOODING: "the client went on sending more than it may after it was refused",
    CloseCode.IDLE: "the client had no subscription and sent nothing for too long",
    CloseCode.HANDSHAKE_TIMEOUT: "it took too long to find out who connects, or a client without a login sent nothing",
    CloseCode.SLOW: "the client read too slowly for too long; reconnect and resume",
    CloseCode.OVERLOADED: "the server cannot take this connection now: too many of them, or Redis does not answer; reconnect later",
    CloseCode.UNRESPONSIVE: "the client did not answer the server's pings",
}
