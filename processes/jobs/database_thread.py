"""The thread that does all of a server process's work on the tables of jobs.

What waits for it is done in one transaction, so that many jobs share a commit, and what is the same for many is one call for all of them;
what only reads has none where nothing else waits, which spares two ways to the database. Where one operation fails, they are done again
one at a time, and that one alone fails. A database that does not answer is asked again for a while: nothing is acknowledged before it is
stored.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, TypeVar

from django.db import InterfaceError, OperationalError, connection, transaction

logger = logging.getLogger(__name__)

MOST_TOGETHER = 100
RETRY_SECONDS = 0.25

T = TypeVar("T")
Item = TypeVar("Item")


@dataclass(frozen=True, slots=True, eq=False)
class _Call:
    operation: Callable[..., Any]
    result: asyncio.Future[Any]
    item: Any = None
    together: bool = False
    reads: bool = False


Calls = list[_Call]
"""Of the same operation, all of which are done by one call of it; or a single one."""
Outcome = tuple[Any, Exception | None]


class DatabaseThread:
    """One thread with one connection. `patience` is for how many seconds a database that does not answer is asked again."""

    def __init__(self, patience: float) -> None:
        self._patience = patience
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="processes-database")
        self._waiting: Calls = []
        self._turn: asyncio.Task[None] | None = None
        self._ended = False

    async def run(self, operation: Callable[[], T], reads: bool = False) -> T:
        """What the operation returns or raises, after it was committed or rolled back. It may be called more than once.

        One that only `reads` may be done without a transaction.
        """
        result: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._enqueue(_Call(operation, result, reads=reads))
        return await result

    async def run_together(self, operation: Callable[[Sequence[Item]], Sequence[T | Exception]], item: Item, reads: bool = False) -> T:
        """What the operation returns for an item, among others for which the same operation waits: they are done by one call, when the last
        of them would be. An exception that it returns for an item is raised here and spoils nothing; one that it raises has it called again
        for each item alone.
        """
        result: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._enqueue(_Call(operation, result, item, together=True, reads=reads))
        return await result

    def _enqueue(self, call: _Call) -> None:
        if self._ended:
            raise OperationalError("this server process has ended its work on the database")
        self._waiting.append(call)
        if self._turn is None:
            self._turn = asyncio.create_task(self._take_turns())

    async def stop(self) -> None:
        """Do what waits, and close the connection. A database that does not answer is asked no more."""
        self._patience = 0.0
        if self._turn is not None:
            await self._turn
        self._ended = True
        await asyncio.get_running_loop().run_in_executor(self._executor, lambda: connection.close())  # that thread's
        self._executor.shutdown(wait=False)

    async def _take_turns(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            while self._waiting:
                turn, self._waiting = self._waiting[:MOST_TOGETHER], self._waiting[MOST_TOGETHER:]
                pieces = _pieces(turn)
                outcomes = await loop.run_in_executor(self._executor, self._do, pieces)
                for call, (value, error) in zip((call for piece in pieces for call in piece), outcomes, strict=True):
                    if call.result.done():  # its caller was cancelled
                        continue
                    if error is None:
                        call.result.set_result(value)
                    else:
                        call.result.set_exception(error)
        finally:
            self._turn = None

    def _do(self, pieces: Sequence[Calls]) -> list[Outcome]:
        if len(pieces) > 1 and not all(piece[0].reads for piece in pieces):
            try:
                with transaction.atomic():
                    return [outcome for piece in pieces for outcome in _outcomes(piece)]
            except Exception as error:  # noqa: BLE001  # one at a time then, and that one fails again
                _forget_broken_connection(error)
        return [outcome for piece in pieces for outcome in self._do_one(piece)]

    def _do_one(self, piece: Calls) -> list[Outcome]:
        began = time.monotonic()
        while True:
            try:
                with _transaction(piece):
                    return _outcomes(piece)
            except (OperationalError, InterfaceError) as error:
                _forget_broken_connection(error)
                if time.monotonic() - began > self._patience:
                    return [(None, error)] * len(piece)
                logger.warning("the database does not answer, it is asked again: %s", error)
                time.sleep(RETRY_SECONDS)
            except Exception as error:  # noqa: BLE001  # raised where the operation was asked for
                if len(piece) > 1:
                    return [outcome for call in piece for outcome in self._do_one([call])]
                return [(None, error)]


def _pieces(calls: Calls) -> list[Calls]:
    """The calls in order, those of an operation that does many together where the last of them is."""
    pieces: dict[Hashable, Calls] = {}
    for number, call in enumerate(calls):
        key: Hashable = call.operation if call.together else number
        pieces[key] = [*pieces.pop(key, []), call]
    return list(pieces.values())


def _transaction(piece: Calls) -> AbstractContextManager[Any]:
    return nullcontext() if piece[0].reads else transaction.atomic()


def _outcomes(piece: Calls) -> list[Outcome]:
    if not piece[0].together:
        return [(piece[0].operation(), None)]
    found = piece[0].operation([call.item for call in piece])
    return [(None, each) if isinstance(each, Exception) else (each, None) for each in found]


def _forget_broken_connection(error: Exception) -> None:
    if isinstance(error, OperationalError | InterfaceError) and not connection.in_atomic_block:
        connection.close()
