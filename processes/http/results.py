"""The outputs of a job, put together from what workers stored: values, bytes and links."""

from __future__ import annotations

import base64
import mimetypes
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import msgspec

from processes.catalogue import Offer
from processes.descriptions import DescriptionError, ProcessDescription, Schema
from processes.descriptions.media_types import GEOJSON, JSON, TEXT, essence, is_json, is_media_type
from processes.jobs.outcomes import Succeeded
from processes.jobs.queue import NewJob
from processes.models import Blob, Job, JobOutput

from .blobs import chunks, content
from .site import uri

OCTETS = "application/octet-stream"
_ENDINGS = {GEOJSON: ".geojson", "image/tiff": ".tif", JSON: ".json", TEXT: ".txt", "application/xml": ".xml", "text/xml": ".xml"}


@dataclass(frozen=True, slots=True)
class Result:
    """One output. Of value, blobs and href one is there: it is JSON, bytes, or somewhere else."""

    id: str
    media_type: str
    value: Any = None
    blobs: tuple[Blob, ...] = ()
    href: str = ""
    binary: bool = False
    """Whether the value is base64, or the blobs hold no JSON."""
    is_bbox: bool = False
    by_reference: bool = False
    """Whether the client asked for a link."""
    title: str = ""

    @property
    def size(self) -> int:
        """About how many bytes it has."""
        if self.blobs:
            return sum(blob.size for blob in self.blobs)
        return 0 if self.href else len(msgspec.json.encode(self.value))

    @property
    def file_name(self) -> str:
        """What it is called as a file."""
        kind = essence(self.media_type)
        return self.id + (_ENDINGS.get(kind) or mimetypes.guess_extension(kind) or "")

    def body(self) -> bytes:
        """It as it is, if it is not in blobs."""
        if self.binary and isinstance(self.value, str):
            try:
                return base64.b64decode(self.value)
            except ValueError:  # a process whose results are not checked
                return self.value.encode()
        if isinstance(self.value, str) and not is_json(self.media_type):
            return self.value.encode()
        return msgspec.json.encode(self.value)

    async def pieces(self) -> AsyncIterator[bytes]:
        """It as it is, piece by piece."""
        if not self.blobs:
            yield self.body()
        for blob in self.blobs:
            async for piece in chunks(blob):
                yield piece

    async def loaded(self) -> Any:
        """It as JSON holds it: a value, or base64."""
        if not self.blobs:
            return self.value
        data = b"".join([await content(blob) for blob in self.blobs])
        if self.binary:
            return base64.b64encode(data).decode()
        return msgspec.json.decode(data)


@dataclass(frozen=True, slots=True)
class StoredJob:
    """A job with everything that its results are made of, as it is in the database."""

    job: Job
    requested: Mapping[str, Mapping[str, str]]
    response: str
    outputs: Sequence[JobOutput] = field(default_factory=tuple)


def load(identifier: UUID) -> StoredJob | None:
    """Read a job; its outputs only if it was successful."""
    return load_all([identifier], described=True)[0]


def load_all(identifiers: Sequence[UUID], described: bool = False) -> list[StoredJob | None]:
    """Read several jobs, as `load` reads one; without the description of their process, which may be long, unless they are `described`."""
    rows = Job.objects.select_related("request", *(["process"] if described else [])).defer("request__inputs")
    jobs = rows.in_bulk(identifiers)
    outputs: dict[UUID, list[JobOutput]] = {job.pk: [] for job in jobs.values() if job.status == Job.Status.SUCCESSFUL}
    for row in JobOutput.objects.filter(job__in=outputs).select_related("blob").order_by("output", "seq") if outputs else ():
        outputs[row.job_id].append(row)
    return [
        StoredJob(job, job.request.outputs, job.request.response, outputs.get(job.pk, ())) if (job := jobs.get(each)) is not None else None
        for each in identifiers
    ]


def stored_just_now(new: NewJob, outcome: Any) -> StoredJob | None:
    """What `load` would read of a job whose end this process has stored. None: that is not known, or files are among its outputs."""
    if not isinstance(outcome, Succeeded) or outcome.outputs is None or any(each.blob for each in outcome.outputs):
        return None
    job = Job(id=new.id, process_id=new.process, owner_id=new.owner, hidden=new.hidden, status=Job.Status.SUCCESSFUL)
    rows = [
        JobOutput(job=job, output=each.output, seq=each.seq, value=each.value, href=each.href, media_type=each.media_type)
        for each in sorted(outcome.outputs, key=lambda part: part.output)
    ]
    return StoredJob(job, new.outputs, new.response, rows)


def description_of(job: Job, offer: Offer | None) -> ProcessDescription | None:
    """Of the version that has done a job; `offer` is the one that is listed now. None: it is gone."""
    if offer is not None and offer.pk == job.process_id:
        return offer.description
    try:
        return ProcessDescription.parse(job.process.description) if job.process is not None else None
    except DescriptionError:
        return None


def results_of(stored: StoredJob, description: ProcessDescription | None) -> list[Result]:
    """The outputs that were asked for, in the order in which they were, or else in which the process has them."""
    parts: dict[str, list[JobOutput]] = {}
    for row in stored.outputs:
        parts.setdefault(row.output, []).append(row)
    order = list(stored.requested) or (list(description.outputs) if description else [])
    names = [name for name in order if name in parts] + ([] if stored.requested else [name for name in parts if name not in order])
    return [_result(name, parts[name], stored.requested.get(name, {}), description) for name in names]


def _result(name: str, rows: list[JobOutput], requested: Mapping[str, str], description: ProcessDescription | None) -> Result:
    described = description.outputs.get(name) if description is not None else None
    schema = described.schema if described is not None else Schema({})
    first = rows[0]
    blobs = tuple(row.blob for row in rows if row.blob is not None)
    said = first.media_type or (first.blob.media_type if first.blob else "")
    value = first.value if len(rows) == 1 else _joined([row.value for row in rows])
    likely = said or (_wanted(schema, requested) if blobs else schema.media_type_of(value))
    likely = likely if is_media_type(likely) else ""
    binary = _is_binary(schema, likely, bool(blobs), described is not None)
    return Result(
        id=name,
        media_type=likely or (OCTETS if binary else JSON),
        value=None if blobs else value,
        blobs=blobs,
        href=uri(first.href),
        binary=binary,
        is_bbox=schema.is_bbox,
        by_reference=requested.get("transmissionMode") == "reference"
        or bool(first.href)
        or (not requested and _only_by_reference(description)),
        title=str(described.data.get("title", "")) if described is not None else "",
    )


def _is_binary(schema: Schema, media_type: str, stored: bool, known: bool) -> bool:
    """Whether an output is bytes: as the process says, or else as it looks."""
    if known and (not media_type or schema.branch_of(media_type) is not None):
        return schema.is_binary(media_type)
    return stored and not is_json(media_type)


def _wanted(schema: Schema, requested: Mapping[str, str]) -> str:
    return requested.get("mediaType", "") or next(iter(schema.media_types), "")


def _only_by_reference(description: ProcessDescription | None) -> bool:
    return description is not None and description.transmission == ("reference",)


def _joined(values: list[Any]) -> Any:
    """An output that came in parts: lists and feature collections one after the other, texts too; anything else as a list of the parts."""
    if all(isinstance(each, list) for each in values):
        return [item for each in values for item in each]
    if all(isinstance(each, str) for each in values):
        return "".join(values)
    if all(isinstance(each, dict) and each.get("type") == "FeatureCollection" for each in values):
        return {**values[0], "features": [feature for each in values for feature in each.get("features", [])]}
    return values
