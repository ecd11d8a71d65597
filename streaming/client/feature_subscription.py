"""A subscription to features: changes to iterate over, and the collection they lead to."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal, Unpack

import msgspec

from ..core.merge_patch import merged
from ..dialects.geo.messages import MERGE_PATCH, Ack, ChangeType, FeatureData, Message, SubscribeFeatures, UpdateSubscription
from .changes import Feature, FeatureChange, FeatureId, FeatureKey
from .collection import Collection
from .conditions import Conditions, build, to_wire
from .errors import ProtocolError
from .position import Position
from .subscription import Owner, Subscription
from .waiting import WaitingChanges

logger = logging.getLogger(__name__)

_KINDS: dict[ChangeType, Literal["added", "updated", "deleted"]] = {
    ChangeType.ADDED: "added",
    ChangeType.UPDATED: "updated",
    ChangeType.DELETED: "deleted",
}


class FeatureSubscription(Subscription[FeatureChange]):
    """The changes of one layer, or of every readable layer (`layer` None).

    A slow reader sees fewer, merged changes, never an old state. `features` is always current: it is ahead of a reader that is behind.
    A delta that does not fit makes the client subscribe anew, without deltas from then on; the whole state comes.
    """

    _waiting: WaitingChanges

    def __init__(self, owner: Owner, id: str, layer: str | None, wire: Mapping[str, Any]) -> None:
        super().__init__(owner, id, wire, WaitingChanges())
        self.layer = layer
        self._collection = Collection(every_layer=layer is None)
        self.exchange = asyncio.Lock()
        """Held by a request that must not come between others."""
        self._versions: dict[FeatureKey, str] = {}
        self._started = self._renewing = False
        if wire.get("cursor") is not None or wire.get("snapshot") is False:
            self._wire["delta"] = None  # there are features that are not held here
        self.matched: int | None = None
        """Of an aggregate: how many features the cells in view held together when it was last subscribed to or updated."""
        self.resolution: int | None = None
        """Of an aggregate: the resolution that the server has taken."""

    @property
    def features(self) -> Mapping[FeatureKey, Feature]:
        """What the subscription shows now, by id (7 and "7" differ), or by (layer, id) if `layer` is None."""
        return self._collection.features

    async def update(self, **conditions: Unpack[Conditions]) -> None:
        """Change conditions: absent ones stay, None removes one. Only the difference comes.

        Raises `RequestRefused`, after which the old conditions still hold.
        """
        async with self.exchange:
            await self._owner.update(self, to_wire(conditions))

    def _request(self) -> Message:
        if self._renewing:
            self._position = Position()
        members = {**self._wire, "subscription_id": self.id, "layer": self.layer, "cursor": self.cursor}
        if self._started:  # without a cursor the server does not know what was missed: then the whole state has to come
            members.pop("snapshot", None)
        return build(SubscribeFeatures, members)

    def _update_request(self, wire: Mapping[str, Any]) -> Message:
        message = build(UpdateSubscription, {**wire, "subscription_id": self.id})
        self._position.forget()
        return message

    def _updated(self, ack: Ack, wire: Mapping[str, Any]) -> None:
        if not ack.success:
            self._position.refused()
            return
        self._wire.update(wire)
        self._note(ack)
        self._position.moved(ack.cursor, ack.snapshot_count or 0)
        self._settle([])

    def _accepted(self, ack: Ack) -> None:
        self.recovered = ack.recovered
        self._note(ack)
        if ack.recovered:
            self._collection.catch_up()
        elif ack.recovered is False or self._snapshot_follows(ack):
            self._collection.replace(self.layer)
        self._started, self._renewing = True, False
        self._position.begin(ack.cursor, ack.snapshot_count or 0)
        self._settle([])

    def _note(self, ack: Ack) -> None:
        self.matched = ack.matched
        self.resolution = None if ack.aggregate is None else ack.aggregate.resolution

    def _snapshot_follows(self, ack: Ack) -> bool:
        return ack.snapshot_count is not None and (self._started or self._wire.get("snapshot") is not False)

    def _receive(self, message: FeatureData) -> None:
        if self._renewing:
            return  # the whole state follows
        layer = message.layer if isinstance(message.layer, str) else self.layer
        reason = message.reason if isinstance(message.reason, str) else None
        cursor = message.cursor if isinstance(message.cursor, str) else None
        features = self._whole(message, layer)
        if features is None:
            return
        kind = _KINDS[message.change_type]
        changes = [self._collection.apply(kind, layer, id, feature, reason) for id, feature in features]
        self._position.received(cursor, len(features), self._track(layer))
        self._settle([change for change in changes if change is not None])

    def _whole(self, message: FeatureData, layer: str | None) -> list[tuple[FeatureId, Feature]] | None:
        """The features of a message, with what a delta says applied to what is held. None if it does not fit."""
        features = _features(message)
        versions, bases = _each(message.version, len(features)), _each(message.base_version, len(features))
        keys = [self._collection.key(layer, id) for id, _ in features]
        if message.encoding:
            for key, base in zip(keys, bases, strict=True):
                if message.encoding != MERGE_PATCH or base is None or self._versions.get(key) != base:
                    self._misfit(key)
                    return None
            features = [(id, merged(self.features[key], patch)) for key, (id, patch) in zip(keys, features, strict=True)]
        self._versions.update({key: version for key, version in zip(keys, versions, strict=True) if version is not None})
        return features

    def _misfit(self, key: FeatureKey) -> None:
        logger.warning("a delta of feature %s in subscription %s does not fit; it is subscribed to anew", key, self.id)
        self._renewing, self._wire["delta"] = True, None
        self._owner._renew(self)

    def _track(self, layer: str | None) -> str | None:
        return layer if self.layer is None else None

    def _settle(self, changes: list[FeatureChange]) -> None:
        """Hand changes to the reader; the last one stands for all, so only it carries the cursor."""
        if not self._position.arriving:
            changes.extend(self._collection.complete())
        if changes:
            changes[-1] = replace(changes[-1], cursor=self._position.at(self._track(changes[-1].layer)))
        for change in changes:
            key = self._collection.key(change.layer, change.id)
            if change.type == "deleted":
                self._versions.pop(key, None)
            self._waiting.put(key, change)

    def _interrupted(self) -> None:
        super()._interrupted()
        self._collection.interrupted()


def _features(message: FeatureData) -> list[tuple[FeatureId, Feature]]:
    """The features of a message with their ids. Raises ProtocolError."""
    try:
        document = msgspec.json.decode(message.geojson, type=dict[str, Any])
        if document.get("type") == "FeatureCollection":
            return [(_id(feature["id"]), feature) for feature in document["features"]]
        return [(_id(document.get("id", message.id)), document)]
    except (msgspec.MsgspecError, KeyError, TypeError) as error:
        raise ProtocolError(f"the server sent something that is not a feature with an id: {error!r}") from error


def _each(value: object, count: int) -> list[str | None]:
    """Of each feature of a message. Raises ProtocolError."""
    each = value if isinstance(value, list) else [value if isinstance(value, str) else None] * count
    if len(each) != count:
        raise ProtocolError(f"the server sent {len(each)} versions of {count} features")
    return each


def _id(value: Any) -> FeatureId:
    if isinstance(value, (str, int)) and not isinstance(value, bool):
        return value
    raise TypeError(f"{value!r} is not an id")
