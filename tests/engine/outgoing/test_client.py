"""Requests to addresses that clients name: bounded in size and time, and checked again after each redirect."""

from __future__ import annotations

import ipaddress
from collections.abc import AsyncIterator
from typing import Any

import pytest

from streaming.engine.outgoing import AddressRefused, AddressRules, RequestFailed, send
from tests.receiver import Receiver, receiving, response

HERE = AddressRules(networks=(ipaddress.ip_network("127.0.0.1/32"),))


@pytest.fixture
async def server() -> AsyncIterator[Receiver]:
    async with receiving() as receiver:
        yield receiver


async def fetch(url: str, **options: Any) -> Any:
    return await send("GET", url, HERE, **{"seconds": 5.0, "most_bytes": 1000, **options})


async def test_an_answer_is_read(server: Receiver) -> None:
    server.answers["/a?b=c"] = response(200, b"hello", content_type="text/plain")
    answer = await fetch(server.url("/a?b=c"))
    assert (answer.status, answer.headers["content-type"], answer.body) == (200, "text/plain", b"hello")
    assert server.received[0].headers["host"] == f"127.0.0.1:{server.port}"


async def test_a_body_is_sent(server: Receiver) -> None:
    server.answers["/"] = response(204)
    await send("POST", server.url(), HERE, body=b"{}", headers={"Content-Type": "application/json"}, seconds=5, most_bytes=10)
    assert (server.received[0].method, server.received[0].body) == ("POST", b"{}")


@pytest.mark.parametrize(
    "answer",
    [
        response(200, b"x" * 1001),
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        + b"100\r\n"
        + b"x" * 256
        + b"\r\n"
        + (b"100\r\n" + b"x" * 256 + b"\r\n") * 5,
        b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n",
        b"HTTP/1.0 200 OK\r\n\r\n" + b"x" * 5000,
    ],
)
async def test_what_is_too_large_is_not_read(server: Receiver, answer: bytes) -> None:
    server.answers["/"] = answer
    with pytest.raises(RequestFailed, match="larger than 1000"):
        await fetch(server.url())


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 200 OK\r\nContent-Le"])
async def test_what_takes_too_long_is_not_waited_for(server: Receiver, answer: bytes) -> None:
    server.answers["/"] = answer
    with pytest.raises(RequestFailed):
        await fetch(server.url(), seconds=0.2)


@pytest.mark.parametrize(
    "answer", [b"what?\r\n\r\n", b"HTTP/1.1 200 OK\r\n" + b"X: " + b"y" * 300_000 + b"\r\n\r\n", response(200, b"ab")[:-1]]
)
async def test_what_is_no_answer_is_an_error(server: Receiver, answer: bytes) -> None:
    server.answers["/"] = answer
    with pytest.raises(RequestFailed):
        await fetch(server.url())


async def test_nobody_there_is_an_error(server: Receiver) -> None:
    with pytest.raises(RequestFailed):
        await fetch("http://127.0.0.1:1/")


async def test_redirects_are_followed_so_often_as_allowed(server: Receiver) -> None:
    server.answers |= {"/a": response(302, location="/b"), "/b": response(301, location=server.url("/c")), "/c": response(200, b"there")}
    assert (await fetch(server.url("/a"), redirects=2)).body == b"there"
    with pytest.raises(RequestFailed, match="redirects more than"):
        await fetch(server.url("/a"), redirects=1)


async def test_without_redirects_the_redirect_is_the_answer(server: Receiver) -> None:
    server.answers["/a"] = response(302, location="/b")
    assert (await fetch(server.url("/a"))).status == 302 and len(server.received) == 1


@pytest.mark.parametrize("location", ["http://127.0.0.2/", "http://169.254.169.254/latest", "file:///etc/passwd", "ftp://a/"])
async def test_where_a_redirect_leads_is_judged_as_well(server: Receiver, location: str) -> None:
    server.answers["/a"] = response(302, location=location)
    with pytest.raises(AddressRefused):
        await fetch(server.url("/a"), redirects=5)
