"""How long the pieces of a coroutine take; what goes wrong in one leaves no garbage."""

from __future__ import annotations

import asyncio
import gc
import weakref

import pytest

from streaming.core.timed import timed


class Wrong(Exception):
    """Can be looked for."""


def ticks(*times: float) -> object:
    return iter(times).__next__


async def test_pieces_are_told_if_they_took_longer() -> None:
    async def two_pieces() -> str:
        await asyncio.sleep(0)
        return "done"

    took: list[float] = []
    assert await timed(two_pieces(), took.append, 1.0, ticks(0.0, 0.5, 10.0, 12.0)) == "done"  # type: ignore[arg-type]
    assert took == [2.0]


@pytest.mark.parametrize("is_caught", [True, False])
async def test_an_exception_that_was_waited_for_is_gone_once_it_was_dealt_with(is_caught: bool) -> None:
    async def wait(futures: list[asyncio.Future[None]]) -> None:
        try:
            await futures.pop()  # and has it no more
        except Wrong:
            if not is_caught:
                raise

    gc.disable()
    try:
        futures = [asyncio.get_running_loop().create_future()]
        error = Wrong()
        seen = weakref.ref(error)
        asyncio.get_running_loop().call_soon(futures[0].set_exception, error)
        del error
        try:
            await timed(wait(futures), print, 1.0, lambda: 0.0)
        except Wrong:
            assert not is_caught
        await asyncio.sleep(0)  # the loop has what it ran last
        assert seen() is None
    finally:
        gc.enable()
