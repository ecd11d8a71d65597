"""A service: what a part of GeoStream runs in every server process, from its start to its end."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Protocol

from .measures import Sample

if TYPE_CHECKING:
    from .runtime import Runtime


class TableWriter(Protocol):
    """Rows that a service writes to the database behind, together with those of the recorder: gathered, written, settled."""

    def gather(self, node: str) -> bool:
        """Collect what has changed, on the event loop; returns whether anything has. What is not written then is to be collected again."""

    def write(self) -> None:
        """Write what was gathered, in a thread, inside the recorder's transaction."""

    def settle(self, known: bool) -> None:
        """The transaction was committed. Not `known`: the node had no row, so all rows have to be written anew."""


class Service:
    """Base class of services. Each has one instance in a process, made by its runtime; what it does not override does nothing.

    A service finds another one by its class, `runtime.service(Topics)`, once, when it is made: whatever it asks for is started before it
    and stopped after it.
    """

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime

    async def start(self) -> None:
        """Begin. `StreamError` or `ImproperlyConfigured` stops the whole process from starting."""

    async def stop(self) -> None:
        """End within a second or two. Also called if `start` failed half way."""

    def ending(self) -> None:
        """The server is about to end: whatever is held open for clients should end by itself now. WebSockets are closed anyway."""

    def collect(self) -> Iterable[Sample]:
        """Samples of the measures that the app declares. A measure without labels and without a sample is 0."""
        return ()

    def health(self) -> Mapping[str, bool]:
        """Named answers for `/readyz`; one that is False takes the process out of service."""
        return {}

    def access_changed(self) -> None:
        """What users may read may have changed."""

    def table_writer(self) -> TableWriter | None:
        """Rows for the database, if the service has some; asked for once."""
        return None
