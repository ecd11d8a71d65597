"""The tables of errors and close codes."""

from __future__ import annotations

import re
from http import HTTPStatus

import pytest

from streaming.core.errors import _KINDS, CLOSE_MEANINGS, ERRORS, CloseCode, StreamError


def test_codes_are_names_and_unique() -> None:
    codes = [kind.code for kind in _KINDS]
    assert len(codes) == len(set(codes)) and set(codes) <= ERRORS.keys()  # parts outside have declared more
    assert all(re.fullmatch(r"[a-z]+(_[a-z]+)*", code) for code in codes)


def test_every_error_has_an_http_status_of_an_error() -> None:
    assert all(HTTPStatus(kind.status) and kind.status >= 400 for kind in _KINDS)


def test_what_may_be_repeated_is_an_overload_or_a_fault_of_the_server() -> None:
    assert {kind.status for kind in _KINDS if kind.retry} <= {408, 423, 429, 500, 503}


def test_an_error_knows_its_kind() -> None:
    error = StreamError("unknown_layer", "there is no layer 'x'")
    assert (error.code, error.kind.status, str(error), error.message) == ("unknown_layer", 404, "there is no layer 'x'", str(error))


def test_a_code_that_is_not_in_the_table_cannot_be_raised() -> None:
    with pytest.raises(KeyError):
        StreamError("surprise", "")


def test_every_close_code_means_something_and_may_be_sent() -> None:
    assert set(CLOSE_MEANINGS) == set(CloseCode)
    assert all(code in {1009, 1012} or 4000 <= code <= 4999 for code in CloseCode)
    assert all(len(meaning) <= 120 for meaning in CLOSE_MEANINGS.values())
