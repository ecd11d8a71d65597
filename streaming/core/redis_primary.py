"""Which server is the primary, where those who are asked may not all know: the latest election of those that they tell of counts.

A network may be cut in two. A primary on the smaller side that can be reached goes on answering, and so do the Sentinels and nodes of a
cluster beside it, which are not told of the election on the other side. Each election has a greater number (an epoch) than all before. A
majority takes part in it, so that of any majority one knows of it; once that has answered, nobody waits for the others.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import Any, NamedTuple, Protocol

import redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry
from redis.sentinel import MasterNotFoundError, Sentinel

from .redis_address import Host, SentinelAddress

LOOKUP_OPTIONS: dict[str, Any] = {"socket_timeout": 1.0, "socket_connect_timeout": 1.0, "protocol": 2}
"""Of connections on which is asked who the primary is. Who does not answer within a second is passed over."""


class Told(NamedTuple):
    """What one of those who were asked has told; the greatest counts."""

    knows: bool
    """Whether it is in touch with the majority, as far as it can tell."""
    epoch: int
    primary: Host
    others: tuple[Host, ...] = ()
    """Who else may be asked."""


Ask = Callable[[], Told | None]
"""Asks one. None if it knows of no primary; an error of Redis if it does not answer."""


def ask_majority(asks: Sequence[Ask]) -> tuple[Told | None, list[RedisError]]:
    """What counts of the answers, once a majority has answered or nobody else will, and the errors. Any other error is raised."""
    pool = ThreadPoolExecutor(len(asks), thread_name_prefix="primary")
    try:
        left: set[Future[Told | RedisError | None]] = {pool.submit(_answer, ask) for ask in asks}
        answers = list[Told | RedisError | None]()
        while left and sum(isinstance(answer, Told) for answer in answers) <= len(asks) // 2:
            done, left = wait(left, return_when=FIRST_COMPLETED)
            answers += [future.result() for future in done]
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
    return _latest(answers)


def _latest(answers: Sequence[Told | RedisError | None]) -> tuple[Told | None, list[RedisError]]:
    told = max((answer for answer in answers if isinstance(answer, Told)), default=None)
    return told, [answer for answer in answers if isinstance(answer, RedisError)]


def _answer(ask: Ask) -> Told | RedisError | None:
    try:
        return ask()
    except RedisError as error:
        return error


class SentinelService:
    """Says where the primary of a Sentinel's service is, as `redis.sentinel.Sentinel` does, but asks a majority. From any thread."""

    def __init__(self, address: SentinelAddress) -> None:
        sentinel: Any = Sentinel
        self._upstream = sentinel(
            address.hosts, sentinel_kwargs={**LOOKUP_OPTIONS, "retry": Retry(NoBackoff(), 0), **address.sentinel_options}
        )
        self.sentinels: Sequence[redis.Redis] = self._upstream.sentinels
        """What a pool closes with itself."""

    def discover_master(self, service_name: str) -> Host:
        """Host and port at this moment; an error of Redis if nobody can say."""
        found, errors = ask_majority([lambda client=client: self._ask(client, service_name) for client in self.sentinels])  # type: ignore[misc]
        if found is None:
            why = f": {', '.join(map(str, errors))}" if errors else ""
            raise MasterNotFoundError(f"No master found for {service_name!r}{why}")
        return found.primary

    def _ask(self, client: Any, service: str) -> Told | None:
        state = client.sentinel_masters().get(service)
        if not state or not self._upstream.check_master_state(state, service):
            return None
        return Told(True, int(state["config-epoch"]), (state["ip"], int(state["port"])))


class Finder(Protocol):
    """Says where a primary is, from any thread."""

    @property
    def sentinels(self) -> Sequence[Any]:
        """What has connections."""

    def discover_master(self, service_name: str) -> Host:
        """Host and port at this moment; an error of Redis if nobody can say."""


class AsyncFinder:
    """The same for an event loop."""

    def __init__(self, finder: Finder) -> None:
        self._finder = finder

    @property
    def sentinels(self) -> tuple[AsyncFinder]:
        """What a pool closes with itself."""
        return (self,)

    async def discover_master(self, service_name: str) -> Host:
        """Host and port at this moment; an error of Redis if nobody can say."""
        return await asyncio.to_thread(self._finder.discover_master, service_name)

    async def aclose(self) -> None:
        """Close the connections."""
        for each in self._finder.sentinels:
            each.close()
