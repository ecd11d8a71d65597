"""The thread that does all of a server process's work on the tables of jobs.

What waits for it is done in one transaction, so that many jobs share a commit. Where one operation fails, they are done again one at a
time, and that one alone fails. A database that does not answer is asked again for a while: nothing is acknowledged before it is stored.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from django.db import InterfaceError, OperationalError, connection, transaction

logger = logging.getLogger(__name__)

MOST_TOGETHER = 100
RETRY_SECONDS = 0.25

T = TypeVar("T")
_Waiting = tuple[Callable[[], Any], "asyncio.Future[Any]"]


class DatabaseThread:
    """One thread with one connection. `patience` is for how many seconds a database that does not answer is asked again."""

    def __init__(self, patience: float) -> None:
        self._patience = patience
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="processes-database")
        self._waiting: list[_Waiting] = []
        self._turn: asyncio.Task[None] | None = None

    async def run(self, operation: Callable[[], T]) -> T:
        """What the operation returns or raises, after it was committed or rolled back. It may be called more than once."""
        result: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._waiting.append((operation, result))
        if self._turn is None:
            self._turn = asyncio.create_task(self._take_turns())
        return await result

    async def stop(self) -> None:
        """Do what waits, and close the connection. A database that does not answer is asked no more."""
        self._patience = 0.0
        if self._turn is not None:
            await self._turn
        await asyncio.get_running_loop().run_in_executor(self._executor, lambda: connection.close())  # that thread's
        self._executor.shutdown(wait=False)

    async def _take_turns(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            while self._waiting:
                together, self._waiting = self._waiting[:MOST_TOGETHER], self._waiting[MOST_TOGETHER:]
                outcomes = await loop.run_in_executor(self._executor, self._do, [operation for operation, _ in together])
                for (_, result), (value, error) in zip(together, outcomes, strict=True):
                    if result.done():  # its caller was cancelled
                        continue
                    if error is None:
                        result.set_result(value)
                    else:
                        result.set_exception(error)
        finally:
            self._turn = None

    def _do(self, operations: list[Callable[[], Any]]) -> list[tuple[Any, Exception | None]]:
        if len(operations) > 1:
            try:
                with transaction.atomic():
                    return [(operation(), None) for operation in operations]
            except Exception as error:  # noqa: BLE001  # one at a time then, and that one fails again
                _forget_broken_connection(error)
        return [self._do_one(operation) for operation in operations]

    def _do_one(self, operation: Callable[[], Any]) -> tuple[Any, Exception | None]:
        began = time.monotonic()
        while True:
            try:
                with transaction.atomic():
                    return operation(), None
            except (OperationalError, InterfaceError) as error:
                _forget_broken_connection(error)
                if time.monotonic() - began > self._patience:
                    return None, error
                logger.warning("the database does not answer, it is asked again: %s", error)
                time.sleep(RETRY_SECONDS)
            except Exception as error:  # noqa: BLE001  # raised where the operation was asked for
                return None, error


def _forget_broken_connection(error: Exception) -> None:
    if isinstance(error, OperationalError | InterfaceError) and not connection.in_atomic_block:
        connection.close()
