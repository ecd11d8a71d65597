"""Which texts are which commands, and what is said about those that are none."""

from __future__ import annotations

from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streaming.dialects.redis_commands.grammar import (
    COMMANDS,
    Bare,
    Bbox,
    Buffer,
    Command,
    CommandError,
    Hello,
    Projection,
    Read,
    Subscription,
    parse,
    refuse_binary,
)
from tests.dialects.redis_commands.vectors import CASES, expected

OF_THE_SESSION = {"forbidden", "too_large", "rate_limited", "unavailable"}
"""Codes that no command has by its text alone."""


def recorded() -> dict[str, list[tuple[str, str | None]]]:
    """The texts of each recorded session, with the errors they are answered with (None: silence or something else)."""
    found: dict[str, list[tuple[str, str | None]]] = {}
    for case in CASES:
        for step in case["steps"]:
            if not step.get("send", "<").startswith("<") and step.get("send") != "PROJECTION epsg:999999":
                contents = [frame["content"] for frame in expected(step) if "content" in frame]
                codes = [content["code"] for content in contents if isinstance(content, dict) and content.get("status") == "error"]
                (code,) = codes or [None]
                found.setdefault(case["id"], []).append((step["send"], code))
    return found


RECORDED = recorded()


def refusal(text: str) -> CommandError:
    with pytest.raises(CommandError) as caught:
        parse(text)
    return caught.value


@pytest.mark.parametrize("case", RECORDED)
def test_recorded_texts(case: str) -> None:
    for text, code in RECORDED[case]:
        if code is None or code in OF_THE_SESSION:
            try:
                parse(text)
            except CommandError as error:
                assert error.quiet, text
        else:
            error = refusal(text)
            assert error.code == code, text
            assert error.quiet == (case == "ext-errors-opt-in"), text


def test_the_recorded_texts_use_every_command() -> None:
    assert {text.split()[0] for texts in RECORDED.values() for text, _ in texts if text.split()} >= set(COMMANDS)


@pytest.mark.parametrize(
    ("text", "command"),
    [
        ("GET vehicles", Read("GET", "vehicles")),
        ("GET vehicles 2 77", Read("GET", "vehicles", "2", "77")),
        ("GET vehicles 2 client_ref=x=y", Read("GET", "vehicles", "2", "x=y")),
        ("GET client_ref=k ref=1 channel_name=vehicles", Read("GET", "vehicles", "1", "k")),
        ("GET ref=1 vehicles", Read("GET", "vehicles", "1")),
        ("GET vehicles ref=", Read("GET", "vehicles", "")),
        ("PGET vehicles", Read("PGET", "vehicles")),
        ("PGET vehicles 1 projection=epsg:3857 client_ref=q", Read("PGET", "vehicles", "1", "q", "epsg:3857")),
        ("SUB vehicles", Subscription("SUB", "vehicles")),
        ("SUB vehicles client_ref=7", Subscription("SUB", "vehicles", "7")),
        ("SUB veh*", Subscription("SUB", "veh*")),
        ("DEL vehicles", Subscription("DEL", "vehicles")),
        ("PSUB veh*", Subscription("PSUB", "veh*")),
        ("PDEL veh* client_ref=7", Subscription("PDEL", "veh*", "7")),
        ("BBOX", Bbox(None)),
        ("BBOX 1e0 2E0 3. +4", Bbox((1.0, 2.0, 3.0, 4.0))),
        ("BBOX -inf -inf inf inf", Bbox((-inf, -inf, inf, inf))),
        ("BBOX 1 2 3 4 11 mots=rail gen_level=5 tenant=sbb mots=bus", Bbox((1.0, 2.0, 3.0, 4.0))),
        ("BBOX 1 2 3 4 any thing", Bbox((1.0, 2.0, 3.0, 4.0))),
        ("BBOX crs=epsg:4326 0 3 1 4", Bbox((0.0, 3.0, 1.0, 4.0), "epsg:4326")),
        ("PROJECTION urn:ogc:def:crs:EPSG::3857", Projection("urn:ogc:def:crs:EPSG::3857")),
        ("HELLO 2", Hello(2)),
        ("HELLO 2 errors=1 acks=1 trim=0", Hello(2, errors=True, acks=True)),
        ("HELLO 3 sparkle=1", Hello(2)),
        ("BUFFER 100 100", Buffer(100, 100)),
        ("RESET", Bare("RESET")),
        ("PING\nSUB x", Bare("PING")),
        ("\u2003PING\u00a0a=b\u2028", Bare("PING")),
    ],
)
def test_commands(text: str, command: Command) -> None:
    assert parse(text) == command


@pytest.mark.parametrize(
    "text", ["HELLO", "HELLO 1", "HELLO x", "HELLO 2 errors=yes", "PSUB", "PDEL a b", "BUFFER 1", "BUFFER -1 5", "BUFFER ٣ 5"]
)
def test_mistakes_in_extensions_are_arguments_and_quiet(text: str) -> None:
    error = refusal(text)
    assert (error.code, error.quiet) == ("arguments", True)


@pytest.mark.parametrize(
    "text", ["BBOX 1 2 3 crs=epsg:4326", "BBOX tenant=sbb", "BBOX 1 2 3 x", "BBOX 1 2 3 4 crs=a crs=b", "GET =x", "GET ref=1"]
)
def test_mistakes_that_used_to_cost_the_connection_are_answered(text: str) -> None:
    error = refusal(text)
    assert (error.code, error.quiet) == ("arguments", False)


@pytest.mark.parametrize(
    ("text", "reference"),
    [
        ("GET vehicles a b c", None),
        ("GET vehicles foo=bar client_ref=r", "r"),
        ("SUB a b client_ref=r", "r"),
        ("FOO client_ref=r", "r"),
        ("SUB a b c", None),
    ],
)
def test_errors_carry_the_reference_of_the_command(text: str, reference: str | None) -> None:
    assert refusal(text).client_reference == reference


@pytest.mark.parametrize(("data", "quiet"), [(b"PING", True), (b"GET vehicles", False), (b"", False), (b"\xff\x00", True)])
def test_binary_frames_are_refused(data: bytes, quiet: bool) -> None:
    error = refuse_binary(data)
    assert (error.code, error.quiet) == ("binary", quiet)


@given(st.sampled_from(COMMANDS), st.lists(st.text(st.characters(exclude_categories=["Cs"])) | st.floats().map(str)))
def test_any_text_is_a_command_or_an_error_that_does_not_repeat_it(verb: str, words: list[str]) -> None:
    secret = "s3cr3t"
    text = " ".join([verb, *words, secret, f"{secret}={secret}"])
    try:
        parse(text)
    except CommandError as error:
        assert secret not in error.message
