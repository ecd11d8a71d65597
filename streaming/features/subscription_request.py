"""Requests of clients to subscribe to feature layers, the same for all dialects: conditions, presentation and rate.

A dialect reads its own messages into a `SubscriptionRequest`, whose types are checked; `check_request` checks the
values. Nothing here uses a connection or a layer.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import Meta

from streaming.core.bbox import Box
from streaming.core.errors import StreamError
from streaming.core.filters import Filter, FilterSpec, compile_filter
from streaming.core.presentation import Presentation, compile_presentation
from streaming.engine.conf import conf

CONDITIONS = ("bbox", "geometry", "center", "radius_m", "filters", "datetime", "filter", "filter_lang")


class SubscriptionRequest(msgspec.Struct, frozen=True):
    """What a client asks for, of the right types but not yet checked. None stands for no such condition."""

    bbox: Box | None = None
    geometry: dict[str, Any] | None = None
    center: tuple[float, float] | None = None
    radius_m: float | None = None
    filters: list[tuple[str, str]] | None = None
    datetime: str | None = None
    filter: str | dict[str, Any] | None = None
    filter_lang: str | None = None
    crs: int | str | None = None
    properties: list[str] | None = None
    max_rate: Annotated[float, Meta(gt=0)] | None = None
    min_distance: Annotated[float, Meta(gt=0)] | None = None


R = TypeVar("R", bound=SubscriptionRequest)


@dataclass(frozen=True)
class CheckedRequest:
    """A request whose presentation is compiled. Its conditions are compiled for each layer, by `filter_for`."""

    request: SubscriptionRequest
    presentation: Presentation

    def filter_for(self, time_property: str | None) -> Filter:
        """The compiled conditions for a layer with this time property.

        `StreamError` for one that cannot be compiled.
        """
        conditions = {name: getattr(self.request, name) for name in CONDITIONS}
        return compile_filter(FilterSpec(**conditions, time_property=time_property), conf.MAX_POLYGON_VERTICES)

    def describe(self) -> dict[str, Any]:
        """The members that were given, for the admin."""
        names = SubscriptionRequest.__struct_fields__
        return {name: value for name in names if (value := getattr(self.request, name)) is not None}


async def check_request(request: SubscriptionRequest) -> CheckedRequest:
    """Check what can be checked without a layer. `StreamError`."""
    return CheckedRequest(request, await presentation_of(request))


async def presentation_of(request: SubscriptionRequest) -> Presentation:
    """The compiled presentation of a request. `StreamError`."""
    if request.crs is None:
        return compile_presentation(None, request.properties)
    # In a thread, because the first use of a CRS reads a database.
    return await asyncio.to_thread(compile_presentation, request.crs, request.properties)


def parse_request(members: dict[str, Any], kind: type[R]) -> R:
    """The request in a JSON object; members that `kind` does not have are ignored.

    `StreamError("bad_request")` for a wrong type.
    """
    try:
        return msgspec.convert(members, kind)
    except (msgspec.ValidationError, OverflowError) as error:
        raise StreamError("bad_request", str(error)) from None


def updated_request(before: SubscriptionRequest, changes: dict[str, Any]) -> SubscriptionRequest:
    """A request changed by a JSON object: absent members stay as they were, null removes one.

    `StreamError("bad_request")`.
    """
    members = {name: getattr(before, name) for name in SubscriptionRequest.__struct_fields__}
    return parse_request(members | changes, SubscriptionRequest)
