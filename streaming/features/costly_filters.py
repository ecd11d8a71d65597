"""How many costly filters are judged at once: every change of a layer is judged by each of them, in turns that they share."""

from __future__ import annotations

from collections.abc import Iterable

from streaming.core.audience import Condition
from streaming.core.errors import StreamError
from streaming.core.hub import Hub
from streaming.core.outbox import Outbox
from streaming.engine.conf import conf


def check_room(hub: Hub, outbox: Outbox, filters: Iterable[Condition], instead: Iterable[Condition] = ()) -> None:
    """`StreamError("too_many_filters")` if the process or the connection may not have these too, `instead` of some that it has."""
    more = sum(each.costly for each in filters)
    if not more:
        return
    more -= sum(each.costly for each in instead)
    if outbox.costly_filters + more > conf.MAX_CLIENT_COSTLY_FILTERS:
        raise _full(f"a connection may have {conf.MAX_CLIENT_COSTLY_FILTERS}")
    check_process(hub, more)


def check_process(hub: Hub, more: int) -> None:
    """`StreamError("too_many_filters")` if the process may not have so many more."""
    if hub.costly_filters + more > conf.MAX_COSTLY_FILTERS:
        raise _full(f"this process may have {conf.MAX_COSTLY_FILTERS}")


def _full(limit: str) -> StreamError:
    return StreamError("too_many_filters", f"{limit} filters that are a CQL2 expression or a geometry; use bbox, filters and datetime")
