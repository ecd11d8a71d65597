"""Names of keys: of one feed all have one tag, and the feed can be told from them."""

from __future__ import annotations

import pytest
from redis.crc import key_slot

from streaming.core.feed import Feed
from streaming.core.keys import COMMON, feed_of_meta


@pytest.mark.parametrize("name", ["layer:flights", "tiles:relief", "events", "presence:room:1", "topic:a}b", "files", "layer:a:meta"])
def test_the_keys_of_a_feed_are_on_one_node_and_have_its_name(name: str) -> None:
    feed = Feed(name)
    assert len({key_slot(key.encode()) for key in feed.keys}) == 1
    assert feed_of_meta(feed.meta_key) == name


@pytest.mark.parametrize("name", ["presence:room:1", "topic:a}b", "files"])
def test_what_one_step_touches_is_together(name: str) -> None:
    assert key_slot(Feed(name).meta_key.encode()) == key_slot(COMMON.encode())


def test_layers_are_spread() -> None:
    assert len({key_slot(Feed(f"layer:{number}").meta_key.encode()) for number in range(100)}) > 90
