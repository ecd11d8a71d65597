"""JSON with numbers that take msgspec long is decoded to the same values, with the same errors, and not by msgspec."""

from __future__ import annotations

import math
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streaming.core.json_decoding import FEW, JsonDecoder, decode_json, has_hard_numbers

HARD = ",".join(["1e308", "5e-310", "-1.5E+300", "9.007199254740993e305"] * FEW)

values = st.recursive(
    st.none() | st.booleans() | st.integers(-(1 << 63), (1 << 64) - 1) | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


class Named(msgspec.Struct):
    name: str
    numbers: list[float] = []


def with_hard_numbers(text: str) -> bytes:
    made = f'{{"value":{text},"hard":[{HARD}]}}'.encode()
    assert has_hard_numbers(made)
    return made


@given(values)
def test_values_are_those_of_msgspec(value: Any) -> None:
    text = with_hard_numbers(msgspec.json.encode(value).decode())
    assert decode_json(text) == msgspec.json.decode(text)


def test_to_a_type_too() -> None:
    named = JsonDecoder(Named).decode(f'{{"name":"x","numbers":[{HARD}]}}'.encode())
    assert named.name == "x" and math.isclose(named.numbers[0], 1e308) and len(named.numbers) == 4 * FEW
    with pytest.raises(msgspec.ValidationError):
        JsonDecoder(Named).decode(f'{{"name":7,"numbers":[{HARD}]}}'.encode())


@pytest.mark.parametrize(
    "text", ["1e999", "NaN", "Infinity", "01", "[1,]", "1 2", '"\\ud83d"', '"\\x"', "[" * 5000 + "]" * 5000, "9" * 5000]
)
def test_what_msgspec_refuses_is_refused(text: str) -> None:
    with pytest.raises((msgspec.DecodeError, RecursionError)):
        decode_json(with_hard_numbers(text))


def test_what_is_not_utf8_is_refused() -> None:
    with pytest.raises(UnicodeDecodeError):
        decode_json(with_hard_numbers('"~"').replace(b"~", b"\xff"))


def test_msgspec_does_not_see_many_hard_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    decoder = JsonDecoder[Any]()
    seen: list[bytes] = []
    object.__setattr__(decoder, "_decode", seen.append)
    decoder.decode(b"[1e308]")
    decoder.decode(f"[{HARD}]".encode())
    decoder.decode(b'["%b"]' % (b"x" * 100_000))
    assert [len(text) for text in seen] == [7, 100_004]


@pytest.mark.parametrize("text", [b"[8.5,47.25]" * 1000, b'"2e10 of 7e55"' * 1000, b'{"e100":1}' * 1000, b"1.5e-12," * 1000])
def test_what_is_usual_is_left_to_msgspec(text: bytes) -> None:
    assert not has_hard_numbers(text)
