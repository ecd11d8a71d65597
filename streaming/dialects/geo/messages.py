"""Every message of the geo protocol, declared once.

Validation, all encodings and the reference table come from these declarations. The order of the base fields is the order of the
positional MessagePack shape and therefore never changes. A base field is one that is required or made with `nullable()`: it is always
written, as null if it has no value. All other fields are extensions: they are left out while they hold their default, and positional
peers never see them.
"""

from __future__ import annotations

from base64 import b64decode
from enum import Enum
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, UnsetType

U8 = Annotated[int, Meta(ge=0, le=0xFF)]
U32 = Annotated[int, Meta(ge=0, le=0xFFFF_FFFF)]
BBox = tuple[float, float, float, float]
"""(west, south, east, north) in degrees."""
Position = tuple[float, float]
"""(longitude, latitude) in degrees."""
Filters = list[tuple[str, str]]
Cursor = str | dict[str, str]
"""`epoch:seq`, or `{layer: cursor}` of a subscription to every layer."""
Rate = Annotated[float, Meta(gt=0)]
Distance = Annotated[float, Meta(gt=0)]
"""Metres."""


class MessageFormat(Enum):
    """The formats a handshake can ask for. `Binary` is another name of `MessagePack`."""

    JSON = "Json"
    MESSAGE_PACK = "MessagePack"
    BINARY = "Binary"


class Compression(Enum):
    """The compressions a handshake can ask for."""

    NONE = "None"
    ZSTD = "Zstd"


class ChangeType(Enum):
    """What happened to a feature, as one subscription sees it."""

    ADDED = "added"
    UPDATED = "updated"
    DELETED = "deleted"


class EventType(Enum):
    """The kinds of events."""

    FILE_CHANGE = "file_change"
    PROCESSING_STATUS = "processing_status"
    ERROR = "error"
    PROGRESS = "progress"
    CUSTOM = "custom"
    ALERT = "alert"


def _null() -> None:
    return None


def nullable() -> Any:
    """The default of an optional base field: null, and written nevertheless (`omit_defaults` never omits a made default)."""
    return msgspec.field(default_factory=_null)


class Message(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="type"):
    """What all messages have in common."""


class DataEncoding(Enum):
    """How a tile's bytes are written: one by one, as base64 text, or as MessagePack binary."""

    LIST = "list"
    BASE64 = "base64"
    BIN = "bin"


HeldTile = tuple[U32, U32, U8, str]
"""A tile that a client holds: x, y, zoom and its version."""


MERGE_PATCH = "merge-patch"
"""The delta encoding of features: a JSON Merge Patch (RFC 7396)."""


MOST_DICTIONARIES = 1000
"""Dictionaries that a client can name."""


class ZoomRange(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Zoom levels from `start` up to, but without, `end`."""

    start: U8
    end: U8


class Handshake(Message, frozen=True, tag="handshake"):
    """A client asks for an encoding."""

    version: U32
    format: MessageFormat
    compression: Compression


class HandshakeAck(Message, frozen=True, tag="handshake_ack"):
    """The server's answer to a handshake: the encoding that holds from now on."""

    version: U32
    format: MessageFormat
    compression: Compression


class SubscribeTiles(Message, frozen=True, tag="subscribe_tiles"):
    """A client asks for the tiles of a box."""

    subscription_id: str
    bbox: BBox
    zoom_range: ZoomRange
    tile_size: U32 | None = nullable()
    tileset: str | list[str] | None = None
    data_encoding: DataEncoding | None = None
    delta: list[str] | None = None
    have: dict[str, list[HeldTile]] | None = None
    progress: bool | None = None
    notices: bool | None = None


class Aggregate(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Cells instead of features: by `h3` or `grid`, of a resolution or for a map of some zoom, with what is summed up besides the count."""

    by: str
    resolution: int | None = None
    zoom: float | None = None
    properties: list[str] | None = None


class SubscribeFeatures(Message, frozen=True, tag="subscribe_features"):
    """A client asks for the features of a layer, or of all layers, that meet every condition."""

    subscription_id: str
    bbox: BBox | None = nullable()
    filters: Filters | None = nullable()
    layer: str | None = nullable()
    geometry: dict[str, Any] | None = None
    center: Position | None = None
    radius_m: float | None = None
    datetime: str | None = None
    filter: str | dict[str, Any] | None = None
    filter_lang: str | None = None
    crs: int | str | None = None
    properties: list[str] | None = None
    max_rate: Rate | None = None
    min_distance: Distance | None = None
    snapshot: bool | None = None
    cursor: Cursor | None = None
    batch: bool | None = None
    aggregate: Aggregate | None = None
    delta: list[str] | None = None


class UseDictionaries(Message, frozen=True, tag="use_dictionaries"):
    """A client names the zstd dictionaries that it holds: messages may be compressed with them, and it is told of others."""

    ids: Annotated[list[U32], Meta(max_length=MOST_DICTIONARIES)]


class LayerDictionary(Message, frozen=True, tag="layer_dictionary"):
    """A layer has a zstd dictionary that the client does not hold: its id in frames, where it can be fetched, and its bytes."""

    layer: str
    id: U32
    url: str
    size: int


class SubscribeEvents(Message, frozen=True, tag="subscribe_events"):
    """A client asks for events of some kinds."""

    subscription_id: str
    event_types: list[EventType]
    cursor: str | None = None
    filters: Filters | None = None
    filter: str | dict[str, Any] | None = None
    filter_lang: str | None = None
    bbox: BBox | None = None


class Unsubscribe(Message, frozen=True, tag="unsubscribe"):
    """A client ends a subscription."""

    subscription_id: str


class TileData(Message, frozen=True, tag="tile_data"):
    """One tile, (x, y, zoom). `content` has its bytes.

    `data` is a list of them (perhaps encoded already), base64 text, or bytes (base64 in JSON).
    """

    subscription_id: str
    tile: tuple[U32, U32, U8]
    data: Any
    mime_type: str
    tileset: str | UnsetType | None = UNSET
    version: str | UnsetType | None = UNSET
    encoding: str | UnsetType | None = UNSET
    base_version: str | UnsetType | None = UNSET

    def __post_init__(self) -> None:
        if isinstance(self.data, list):
            msgspec.convert(self.data, list[U8])
        elif not isinstance(self.data, bytes | msgspec.Raw) and not (isinstance(self.data, str) and isinstance(self.version, str)):
            raise ValueError("`data` must be a list of bytes, or binary; or base64 text, where there is a `version`")

    @property
    def content(self) -> bytes:
        """The bytes. ValueError if they are text that is not base64."""
        return b64decode(self.data, validate=True) if isinstance(self.data, str) else bytes(self.data)


class FeatureData(Message, frozen=True, tag="feature_data"):
    """A change of one feature (or, in a batch, of several); `geojson` is text.

    For those who asked for deltas, `version` names what the feature is now. With an `encoding`, `geojson` is what has changed since
    `base_version`. In a batch both are lists.
    """

    subscription_id: str
    geojson: str
    change_type: ChangeType
    layer: str | UnsetType | None = UNSET
    id: int | str | UnsetType | None = UNSET
    cursor: str | UnsetType | None = UNSET
    reason: str | UnsetType | None = UNSET
    version: str | list[str] | UnsetType | None = UNSET
    encoding: str | UnsetType | None = UNSET
    base_version: str | list[str] | UnsetType | None = UNSET


class Event(Message, frozen=True, tag="event"):
    """Something happened; the payload is any JSON value, the timestamp RFC 3339."""

    subscription_id: str
    event_type: EventType
    payload: Any
    timestamp: str
    cursor: str | UnsetType | None = UNSET
    gap: int | UnsetType | None = UNSET


class Error(Message, frozen=True, tag="error"):
    """A refusal, or something that went wrong without a request."""

    code: str
    message: str
    request_id: str | None = nullable()


class Ping(Message, frozen=True, tag="ping"):
    """Asks for a pong with the same id."""

    id: int

    def __post_init__(self) -> None:
        _check_u64(self.id)


class Pong(Message, frozen=True, tag="pong"):
    """The answer to a ping."""

    id: int

    def __post_init__(self) -> None:
        _check_u64(self.id)


class TilesetInfo(msgspec.Struct, frozen=True):
    """What a subscriber needs to know of a tileset. Bounds in degrees; both zooms are included."""

    format: str
    mime_type: str
    tile_size: int
    min_zoom: int
    max_zoom: int
    bounds: BBox
    attribution: str
    version: str | UnsetType | None = UNSET


class Ack(Message, frozen=True, tag="ack"):
    """The answer to a request; `request_id` is the request's `subscription_id` (or `request_id`)."""

    request_id: str
    success: bool
    message: str | None = nullable()
    cursor: Cursor | None = None
    snapshot_count: int | None = None
    recovered: bool | None = None
    code: str | None = None
    tile_count: int | None = None
    tilesets: dict[str, TilesetInfo] | None = None
    aggregate: Aggregate | None = None
    matched: int | None = None


class UpdateSubscription(Message, frozen=True, tag="update_subscription"):
    """A client changes a subscription's conditions: UNSET keeps a condition, None removes it."""

    subscription_id: str
    bbox: BBox | UnsetType | None = UNSET
    filters: Filters | UnsetType | None = UNSET
    layer: str | UnsetType | None = UNSET
    geometry: dict[str, Any] | UnsetType | None = UNSET
    center: Position | UnsetType | None = UNSET
    radius_m: float | UnsetType | None = UNSET
    datetime: str | UnsetType | None = UNSET
    filter: str | dict[str, Any] | UnsetType | None = UNSET
    filter_lang: str | UnsetType | None = UNSET
    crs: int | str | UnsetType | None = UNSET
    properties: list[str] | UnsetType | None = UNSET
    max_rate: Rate | UnsetType | None = UNSET
    min_distance: Distance | UnsetType | None = UNSET
    batch: bool | UnsetType | None = UNSET
    aggregate: Aggregate | UnsetType | None = UNSET
    zoom_range: ZoomRange | UnsetType = UNSET


class TilesReady(Message, frozen=True, tag="tiles_ready"):
    """Everything in view of a tile subscription has been sent as it is."""

    subscription_id: str


class TilesChanged(Message, frozen=True, tag="tiles_changed"):
    """Tiles, (x, y, zoom), have changed on the server and can be fetched again; null: any in view may have.

    `version` is that of the tileset with these changes; null where nothing names it.
    """

    subscription_id: str
    tileset: str
    tiles: list[tuple[U32, U32, U8]] | None
    version: str | None


class ListSubscriptions(Message, frozen=True, tag="list_subscriptions"):
    """A client asks what it is subscribed to."""

    request_id: str | None = nullable()


class SubscriptionInfo(msgspec.Struct, frozen=True, omit_defaults=True):
    """One entry of `subscriptions`: what was asked for, and how far the client has been served."""

    subscription_id: str
    kind: str
    layer: str | None = None
    bbox: BBox | None = None
    filters: Filters | None = None
    geometry: dict[str, Any] | None = None
    center: Position | None = None
    radius_m: float | None = None
    datetime: str | None = None
    filter: str | dict[str, Any] | None = None
    filter_lang: str | None = None
    crs: int | str | None = None
    properties: list[str] | None = None
    max_rate: Rate | None = None
    min_distance: Distance | None = None
    batch: bool | None = None
    aggregate: Aggregate | None = None
    event_types: list[EventType] | None = None
    cursor: Cursor | None = None
    tileset: str | list[str] | None = None
    zoom_range: ZoomRange | None = None
    tile_size: int | None = None
    delta: list[str] | None = None
    notices: bool | None = None


class Subscriptions(Message, frozen=True, tag="subscriptions"):
    """The answer to `list_subscriptions`."""

    request_id: str | None
    subscriptions: list[SubscriptionInfo]


class Authenticate(Message, frozen=True, tag="authenticate"):
    """A client presents a JSON web token."""

    token: str
    request_id: str | None = nullable()


INDEXED: tuple[type[Message], ...] = (
    Handshake,
    HandshakeAck,
    SubscribeTiles,
    SubscribeFeatures,
    SubscribeEvents,
    Unsubscribe,
    TileData,
    FeatureData,
    Event,
    Error,
    Ping,
    Pong,
    Ack,
)
"""The base protocol's messages; MessagePack peers may send the position here in place of the `type` text."""

EXTENSIONS: tuple[type[Message], ...] = (
    UpdateSubscription,
    ListSubscriptions,
    Subscriptions,
    Authenticate,
    TilesReady,
    TilesChanged,
    UseDictionaries,
    LayerDictionary,
)


def type_of(kind: type[Message]) -> str:
    """The `type` text of a kind of message."""
    return str(kind.__struct_config__.tag)


def _base_fields(kind: type[Message]) -> tuple[str, ...]:
    return tuple(field.name for field in msgspec.structs.fields(kind) if field.required or field.default_factory is _null)


TYPES: dict[str, type[Message]] = {type_of(kind): kind for kind in INDEXED + EXTENSIONS}
BASE_FIELDS: dict[type[Message], tuple[str, ...]] = {kind: _base_fields(kind) for kind in TYPES.values()}
"""The fields of the positional shape, in order."""

REQUESTS = frozenset(
    (
        SubscribeTiles,
        SubscribeFeatures,
        SubscribeEvents,
        Unsubscribe,
        UpdateSubscription,
        ListSubscriptions,
        Authenticate,
        UseDictionaries,
    )
)
"""What clients ask for. An unknown key there is a mistake; in a handshake, ping or pong the base protocol passes over it."""
KEYS = {kind: frozenset(("type", *kind.__struct_fields__)) for kind in TYPES.values()}
"""The keys of each kind of message."""


def reply_id(message: Message) -> str | None:
    """What an `ack` or `error` names as the request that it answers."""
    if isinstance(message, Authenticate):
        return message.request_id or "authenticate"
    found: str | None = getattr(message, "subscription_id", None)
    return getattr(message, "request_id", None) if found is None else found


def _check_u64(value: int) -> None:
    if not 0 <= value <= 0xFFFF_FFFF_FFFF_FFFF:
        raise ValueError("`id` must be between 0 and 2**64 - 1")
