"""The features that a continuous job keeps in a layer, in which there may be others: brought up to date, and removed when it ends."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from channels.db import database_sync_to_async

from processes.jobs.changes import ACTIVE
from processes.models import Job
from processes.worker import JobFailed
from streaming.core.errors import StreamError
from streaming.core.feed import Feed
from streaming.features.geojson import feature_id
from streaming.features.ingest import IngestResult
from streaming.features.publishing import adelete, apublish

Feature = dict[str, Any]
RETRY_SECONDS = 1.0
PREFIX = 8
"""Characters of the job's id that its features' ids begin with."""


class _Kept(msgspec.Struct):
    properties: dict[str, Any] | None = None


class JobFeatures:
    """The features of one job by name. Their ids are the beginning of the job's, and the name."""

    def __init__(self, layer: str, job: str) -> None:
        self._layer, self._job = layer, job

    async def update(self, features: Mapping[str, Feature | None]) -> bool:
        """Put features, and remove those that are None. Whether that was possible: Redis may be away for a while."""
        there = [self._own(name, feature) for name, feature in features.items() if feature is not None]
        gone = [self._id(name) for name, feature in features.items() if feature is None]
        try:
            if there:
                _check(await apublish(self._layer, there), self._layer)
            if gone:
                await adelete(self._layer, *gone)
        except StreamError as error:
            if error.code == "unknown_layer":  # so there is nothing to be removed
                return True
            if not error.kind.retry:
                raise
            return False
        return True

    async def replace(self, features: Mapping[str, Feature]) -> None:
        """Have these features and no others, and remove what jobs that have ended have left behind. Waits for Redis."""
        while True:
            try:
                await self._remove_left_behind()
                if await self.update({**dict.fromkeys(await self._names()), **features}):
                    return
            except StreamError as error:
                if not error.kind.retry:
                    raise
            await asyncio.sleep(RETRY_SECONDS)

    async def clear(self) -> None:
        """Remove them all. `StreamError`."""
        await self.update(dict.fromkeys(await self._names()))

    async def _names(self) -> list[str]:
        prefix = self._id("")
        return [id.removeprefix(prefix) for id in await self._ids() if id.startswith(prefix)]

    async def _ids(self) -> list[str]:
        stored = await self._stored()
        return [id for key in stored if isinstance(id := feature_id(key.decode()), str)]

    async def _stored(self) -> dict[bytes, bytes]:
        state = await asyncio.to_thread(Feed(f"layer:{self._layer}").read_sync)
        return state.stored

    async def _remove_left_behind(self) -> None:
        """Features of jobs that nobody works on any more: their worker was killed, and they were dismissed before another began."""
        owners: dict[str, list[str | int]] = {}
        for key, stored in (await self._stored()).items():
            if b'"job":"' in stored:
                properties = msgspec.json.decode(stored[13:], type=_Kept).properties or {}
                if (
                    isinstance(job := properties.get("job"), str)
                    and job != self._job
                    and str(feature_id(key.decode())).startswith(job[:PREFIX])
                ):
                    owners.setdefault(job, []).append(feature_id(key.decode()))
        if owners:
            for job in await database_sync_to_async(_ended)(owners):
                await adelete(self._layer, *owners[job])

    def _id(self, name: str) -> str:
        return f"{self._job[:PREFIX]}-{name}"

    def _own(self, name: str, feature: Feature) -> Feature:
        return {**feature, "type": "Feature", "id": self._id(name), "properties": {**feature["properties"], "job": self._job}}


def _check(result: IngestResult, layer: str) -> None:
    if result.refused:
        raise JobFailed(f"the layer {layer} does not take the result: {result.errors[0]['message']}", status=507)


def _ended(jobs: Iterable[str]) -> list[str]:
    """Those of these jobs that have ended, or that are not there any more."""
    known = {job: identity for job in jobs if (identity := _uuid(job)) is not None}
    active = set(Job.objects.filter(pk__in=known.values(), status__in=ACTIVE).values_list("pk", flat=True))
    return [job for job, identity in known.items() if identity not in active]


def _uuid(text: str) -> uuid.UUID | None:
    try:
        return uuid.UUID(text)
    except ValueError:
        return None
