"""What a dictionary is trained on, what it shortens, and when it is worn out."""

from __future__ import annotations

import json
from random import Random
from types import SimpleNamespace

import pytest
import zstandard

from streaming.core.items import Item
from streaming.dialects.geo.dictionary import MOST_BYTES, WINDOW_BYTES, Dictionary, id_of
from streaming.dialects.geo.dictionary_training import TAUGHT_FEATURES, some_of, train


def messages(count: int, kind: str = "aircraft") -> list[bytes]:
    random = Random(1)
    return [
        json.dumps({"id": number, "kind": kind, "callsign": f"SWR{random.randrange(1000)}", "speed": random.randrange(900)}).encode()
        for number in range(count)
    ]


def trained(count: int = 500) -> Dictionary:
    data = train(messages(count), 2048)
    assert data is not None
    return Dictionary(data)


def test_the_same_messages_make_the_same_dictionary() -> None:
    first, second, other = (train(each, 2048) for each in (messages(500), messages(500), messages(500, "ship")))
    assert first == second != other
    assert first is not None
    assert other is not None
    assert 32768 <= id_of(first) != id_of(other) < 1 << 31
    assert len(first) <= 2048


def test_one_that_no_client_holds_costs_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    data = train(messages(500), 2048)
    assert data is not None
    made: list[object] = []
    monkeypatch.setattr(zstandard, "ZstdCompressor", lambda **options: made.append(options) or SimpleNamespace(compress=bytes))
    dictionary = Dictionary(data)
    assert len(made) == 0
    dictionary.compress(b"one")
    dictionary.compress(b"another")
    assert len(made) == 1


def test_few_messages_make_none() -> None:
    assert train(messages(3), 2048) is None


def test_messages_that_share_nothing_make_none() -> None:
    random = Random(1)
    assert train([random.randbytes(100) for _ in range(500)], 2048) is None


def test_a_message_that_would_not_become_shorter_is_not_compressed() -> None:
    dictionary = trained()
    assert dictionary.compress(Random(1).randbytes(100)) is None
    assert dictionary.compress(b"x" * (MOST_BYTES + 1)) is None
    assert dictionary.compress(messages(501)[500]) is not None


def test_it_is_worn_out_once_messages_are_others_than_at_first() -> None:
    dictionary, random = trained(), Random(2)
    usual = messages(500)

    def window(texts: list[bytes]) -> bool:
        goal = dictionary.plain + WINDOW_BYTES
        while dictionary.plain < goal:
            dictionary.compress(random.choice(texts))
        return dictionary.is_worn_out()

    assert not dictionary.is_worn_out()
    assert not window(usual)
    assert not window(usual)
    assert window([random.randbytes(100).hex().encode() for _ in range(500)])
    assert not dictionary.is_worn_out(), "judged by what came since"
    assert not window(usual)


def test_of_many_features_the_oldest_and_the_newest_are_learned_from() -> None:
    items = {str(number): Item(str(number), b"", 0) for number in range(3 * TAUGHT_FEATURES)}
    keys = [int(item.key) for item in some_of(items)]
    assert len(keys) == len(set(keys)) == TAUGHT_FEATURES
    assert {0, TAUGHT_FEATURES // 2 - 1, 3 * TAUGHT_FEATURES - 1} <= set(keys)
    assert len(list(some_of(dict(list(items.items())[:7])))) == 7
