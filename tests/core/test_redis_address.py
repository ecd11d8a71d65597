"""Where Redis is: every form of a URL, and what is wrong with others."""

from __future__ import annotations

import pytest

from streaming.core.redis_address import ClusterAddress, SentinelAddress, SingleAddress, parse_address


@pytest.mark.parametrize("url", ["redis://", "redis://u:p@host:1/2?socket_timeout=3", "rediss://host", "unix:///run/redis.sock"])
def test_one_server_is_left_to_the_client_library(url: str) -> None:
    assert parse_address(url) == SingleAddress(url)


def test_sentinels_have_a_service_and_perhaps_a_database() -> None:
    address = parse_address("redis+sentinel://u:p%40ss@one:1,two,[::1]:3/my%20maps/5?socket_timeout=3")
    assert isinstance(address, SentinelAddress)
    assert address.hosts == (("one", 1), ("two", 26379), ("::1", 3))
    assert (address.service, address.tls) == ("my maps", False)
    assert address.options == {"username": "u", "password": "p@ss", "db": 5, "socket_timeout": 3.0}
    assert address.sentinel_options == {}


def test_sentinels_have_a_login_of_their_own() -> None:
    address = parse_address("redis+sentinel://:p@one/maps?sentinel_username=s&sentinel_password=q")
    assert isinstance(address, SentinelAddress)
    assert address.options == {"password": "p"}
    assert address.sentinel_options == {"username": "s", "password": "q"}


def test_with_tls_it_is_spoken_with_sentinels_too() -> None:
    address = parse_address("rediss+sentinel://one/maps?ssl_ca_certs=/ca.pem")
    assert isinstance(address, SentinelAddress)
    assert address.tls
    assert address.sentinel_options == {"ssl": True, "ssl_ca_certs": "/ca.pem"}


def test_a_cluster_has_nodes_and_one_database() -> None:
    address = ClusterAddress((("one", 7000), ("two", 6379)), {"password": "p"}, False)
    assert parse_address("redis+cluster://:p@one:7000,two") == address
    assert parse_address("redis+cluster://:p@one:7000,two/0") == address


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("redis+other://host", "neither"),
        ("redis+sentinel:///maps", "neither"),
        ("redis+sentinel://host", "name of the service"),
        ("redis+sentinel://host/maps/x", "number of a database"),
        ("redis+sentinel://host/maps/1/2", "number of a database"),
        ("redis+sentinel://one,,two/maps", "address of a host"),
        ("redis+sentinel://one:99999/maps", "address of a host"),
        ("redis+cluster://host/1", "one database"),
    ],
)
def test_what_is_wrong_is_said(url: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        parse_address(url)


def test_what_is_said_has_no_password() -> None:
    with pytest.raises(ValueError) as refused:
        parse_address("redis+sentinel://:secret@/maps")
    assert "secret" not in str(refused.value)
