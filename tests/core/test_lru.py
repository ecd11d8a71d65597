"""The LRU keeps what was used last, within its limit."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from streaming.core.lru import LRU


def test_the_entry_used_longest_ago_is_dropped() -> None:
    cache: LRU[str, int] = LRU(3)
    for key, value in (("a", 1), ("b", 2), ("c", 3)):
        cache.put(key, value)
    cache.get("a")
    cache.put("d", 4)
    assert cache.keys() == ["c", "a", "d"]


def test_a_costly_entry_drops_as_many_as_it_needs() -> None:
    cache: LRU[int, bytes] = LRU(100)
    for key in range(10):
        cache.put(key, b"", 10)
    cache.put(10, b"", 35)
    assert cache.keys() == [4, 5, 6, 7, 8, 9, 10]
    assert cache.cost == 95


def test_a_value_over_the_limit_is_not_kept_and_drops_no_other_entry() -> None:
    cache: LRU[str, int] = LRU(10)
    cache.put("small", 1, 10)
    cache.put("large", 2, 11)
    assert cache.keys() == ["small"]


def test_a_key_put_again_has_its_new_value_and_costs_once() -> None:
    cache: LRU[str, int] = LRU(10)
    cache.put("a", 1, 4)
    cache.put("a", 2, 6)
    assert (cache.get("a"), len(cache), cache.cost) == (2, 1, 6)


def test_none_is_a_value() -> None:
    cache: LRU[str, None] = LRU(10)
    cache.put("a", None)
    assert cache["a"] is None
    with pytest.raises(KeyError):
        cache["b"]
    assert cache.get("b") is None


def test_a_dropped_entry_costs_nothing() -> None:
    cache: LRU[str, int] = LRU(10)
    cache.put("a", 1, 4)
    cache.put("b", 1, 4)
    assert [cache.pop("a"), cache.pop("a")] == [True, False]
    assert (cache.keys(), cache.cost) == (["b"], 4)
    cache.clear()
    assert (len(cache), cache.cost) == (0, 0)


def test_threads_share_it() -> None:
    cache: LRU[int, int] = LRU(500)

    def use(key: int) -> None:
        cache.put(key % 120, key, 10)
        cache.get(key % 7)
        cache.pop(key % 11)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(use, range(5000)))
    assert cache.cost == 10 * len(cache) <= 500
