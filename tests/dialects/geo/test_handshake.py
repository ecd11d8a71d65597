"""What a handshake leads to, for each kind of peer."""

from __future__ import annotations

import pytest

from streaming.core.errors import StreamError
from streaming.dialects.geo.codec import JSON_TEXT, Encoding, encode, negotiate
from streaming.dialects.geo.messages import Compression, Handshake, HandshakeAck, MessageFormat
from tests.dialects.geo.vectors import MAP, POSITIONAL, RUST_FIRST_FRAME, decoded, message


def test_rust_clients_are_talked_out_of_compression() -> None:
    handshake, arrived = decoded(RUST_FIRST_FRAME)
    assert isinstance(handshake, Handshake)
    ack, agreed = negotiate(handshake, arrived)
    assert encode(ack, arrived).hex() == message("handshake_ack_downgrade_none")["rmp_zstd_stored_hex"]
    assert agreed == POSITIONAL


@pytest.mark.parametrize("format", MessageFormat)
@pytest.mark.parametrize("compression", Compression)
def test_json_clients_get_what_they_ask_for(format: MessageFormat, compression: Compression) -> None:
    ack, agreed = negotiate(Handshake(1, format, compression), JSON_TEXT)
    assert ack == HandshakeAck(1, format, compression)
    assert agreed == Encoding.of(format, compression)


def test_the_shape_is_the_one_the_handshake_came_in() -> None:
    handshake = Handshake(1, MessageFormat.MESSAGE_PACK, Compression.NONE)
    assert negotiate(handshake, MAP)[1] == MAP
    assert negotiate(handshake, POSITIONAL)[1] == POSITIONAL


def test_a_positional_peer_that_asks_for_compression_gets_stored_frames() -> None:
    _, agreed = negotiate(Handshake(1, MessageFormat.BINARY, Compression.ZSTD), POSITIONAL)
    assert agreed == Encoding.of(MessageFormat.MESSAGE_PACK, Compression.ZSTD, positional=True, stored_zstd=True)


def test_a_peer_with_upstream_zstd_gets_stored_frames() -> None:
    arrived = Encoding.of(MessageFormat.JSON, Compression.ZSTD, stored_zstd=True)
    assert negotiate(Handshake(1, MessageFormat.JSON, Compression.ZSTD), arrived)[1] == arrived


@pytest.mark.parametrize("version", [0, 2, 99])
def test_other_versions_are_refused(version: int) -> None:
    with pytest.raises(StreamError, match="use version 1") as caught:
        negotiate(Handshake(version, MessageFormat.JSON, Compression.NONE), JSON_TEXT)
    assert caught.value.code == "unsupported_version"
