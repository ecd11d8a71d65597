"""A catalogue asks the database once for all who ask at the same time."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from streaming.engine.catalogue import Catalogue

pytestmark = [pytest.mark.usefixtures("caching"), pytest.mark.django_db(transaction=True)]


@dataclass(frozen=True)
class Row:
    public: bool = True

    def readable_by(self, user: Any) -> bool:
        return True


class Table:
    """Rows that are read when the test lets them be."""

    def __init__(self) -> None:
        self.rows = {"roads": Row()}
        self.reads = 0
        self.failing = False
        self.answering = threading.Event()

    def read(self) -> dict[str, Row]:
        self.reads += 1
        rows = dict(self.rows)
        assert self.answering.wait(10)
        if self.failing:
            self.failing = False
            raise OSError("the database does not answer")
        return rows


@pytest.fixture
def caching(settings: Any) -> None:
    settings.GEOSTREAM_AUTH_CACHE_SECONDS = 60.0


@pytest.fixture
def table() -> Iterator[Table]:
    table = Table()
    yield table
    table.answering.set()


@pytest.fixture
def catalogue(table: Table) -> Catalogue[Row]:
    return Catalogue("layer", table.read)


async def until_read(table: Table, times: int) -> None:
    async with asyncio.timeout(10):
        while table.reads < times:
            await asyncio.sleep(0)


async def test_all_who_ask_at_once_share_one_reading(table: Table, catalogue: Catalogue[Row]) -> None:
    asking = [asyncio.create_task(catalogue.all()) for _ in range(100)]
    await until_read(table, 1)
    table.answering.set()
    assert all("roads" in rows for rows in await asyncio.gather(*asking))
    assert table.reads == 1


async def test_what_was_cleared_while_it_was_read_is_read_again(table: Table, catalogue: Catalogue[Row]) -> None:
    asking = asyncio.create_task(catalogue.all())
    await until_read(table, 1)
    table.rows["rivers"] = Row()
    catalogue.clear()
    table.answering.set()
    assert "rivers" in await asking
    assert table.reads == 2


async def test_who_asks_after_a_change_is_not_answered_from_an_older_reading(table: Table, catalogue: Catalogue[Row]) -> None:
    before = asyncio.create_task(catalogue.all())
    await until_read(table, 1)
    table.rows["rivers"] = Row()
    catalogue.clear()
    after = asyncio.create_task(catalogue.all())
    table.answering.set()
    assert "rivers" in await after
    assert "rivers" in await before


async def test_a_reading_that_is_cancelled_is_done_by_another(table: Table, catalogue: Catalogue[Row]) -> None:
    first, second = (asyncio.create_task(catalogue.all()) for _ in range(2))
    await until_read(table, 1)
    first.cancel()
    table.answering.set()
    assert "roads" in await second


async def test_a_reading_that_fails_fails_for_its_own_caller_only(table: Table, catalogue: Catalogue[Row]) -> None:
    table.failing = True
    first, second = (asyncio.create_task(catalogue.all()) for _ in range(2))
    await until_read(table, 1)
    table.answering.set()
    with pytest.raises(OSError, match="does not answer"):
        await first
    assert "roads" in await second
