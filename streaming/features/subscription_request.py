"""What a client wants of feature layers, understood once for all dialects: conditions, presentation, rate.

A dialect reads its own messages into `Asked`, whose types are checked; `understood` checks what they say. Nothing here touches a
connection or a layer.
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

CONDITIONS = ("bbox", "geometry", "filters", "datetime", "filter", "filter_lang")


class Asked(msgspec.Struct, frozen=True):
    """What was asked for, of the right types but not yet understood. None: no such condition."""

    bbox: Box | None = None
    geometry: dict[str, Any] | None = None
    filters: list[tuple[str, str]] | None = None
    datetime: str | None = None
    filter: str | dict[str, Any] | None = None
    filter_lang: str | None = None
    crs: int | str | None = None
    properties: list[str] | None = None
    max_rate: Annotated[float, Meta(gt=0)] | None = None


A = TypeVar("A", bound=Asked)


@dataclass(frozen=True)
class Wanted:
    """What was asked for, and the presentation that follows from it."""

    asked: Asked
    presentation: Presentation

    def filter_for(self, time_property: str | None) -> Filter:
        """The compiled conditions for a layer with this time property. `StreamError` if one cannot be."""
        conditions = {name: getattr(self.asked, name) for name in CONDITIONS}
        return compile_filter(FilterSpec(**conditions, time_property=time_property), conf.MAX_POLYGON_VERTICES)

    def described(self) -> dict[str, Any]:
        """What was given, for people."""
        return {name: value for name in Asked.__struct_fields__ if (value := getattr(self.asked, name)) is not None}


async def presented(asked: Asked) -> Presentation:
    """The presentation that was asked for. `StreamError`."""
    if asked.crs is None:
        return compile_presentation(None, asked.properties)
    # The first use of a CRS reads a database: off the event loop.
    return await asyncio.to_thread(compile_presentation, asked.crs, asked.properties)


async def understood(asked: Asked) -> Wanted:
    """Check what can be checked without a layer. `StreamError`."""
    return Wanted(asked, await presented(asked))


def read_asked(given: dict[str, Any], kind: type[A]) -> A:
    """What a JSON object asks for; members that `kind` does not have mean nothing. `StreamError("bad_request")` for a wrong type."""
    try:
        return msgspec.convert(given, kind)
    except (msgspec.ValidationError, OverflowError) as error:
        raise StreamError("bad_request", str(error)) from None


def changed(before: Asked, given: dict[str, Any]) -> Asked:
    """The same with the members of a JSON object: absent ones stay as they were, null removes one. `StreamError("bad_request")`."""
    return read_asked({name: getattr(before, name) for name in Asked.__struct_fields__} | given, Asked)
