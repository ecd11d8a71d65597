"""Trains the dictionaries of a layer, on messages as subscribers get them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from hashlib import sha256
from itertools import islice

import zstandard

from streaming.core.items import Item

from .dictionary import ID, LEVEL, MOST_BYTES, Dictionary
from .encoding import Encoding
from .message_encoder import feature_data_bytes
from .messages import ChangeType, Compression, MessageFormat

FORMATS = (MessageFormat.JSON, MessageFormat.MESSAGE_PACK)
FORMS = tuple(format.value for format in FORMATS)
"""There is a dictionary for each: what is repeated in one looks otherwise in the other."""
TAUGHT_FEATURES = 1000
"""So many are learned from."""
SEGMENT = 500
"""Bytes of the pieces that a dictionary is put together from. To look for the best length takes four times as long and saves 3 %."""
LEAST_GAIN = 0.9
"""A dictionary with which more than this part remains is not worth its bytes."""
_KINDS = (ChangeType.ADDED, ChangeType.UPDATED)
_FIRST_ID, _IDS = 32768, (1 << 31) - 32768
"""What RFC 8878 leaves to everybody."""


def some_of(items: dict[str, Item]) -> Iterator[Item]:
    """What of a layer's features to learn from. Of many the oldest and the newest: what is between them is not looked at."""
    if len(items) <= TAUGHT_FEATURES:
        yield from items.values()
        return
    yield from islice(items.values(), TAUGHT_FEATURES // 2)
    yield from islice(reversed(items.values()), TAUGHT_FEATURES // 2)


def train_forms(layer: str, items: list[Item], cursor: str, size: int) -> dict[str, bytes]:
    """The dictionaries by form, of messages as subscribers to this layer get them."""
    found = {}
    for format in FORMATS:
        encoding = Encoding.of(format, Compression.NONE)
        messages = [
            feature_data_bytes(encoding, "features-1", item.value, _KINDS[number % 4 > 0], layer, item.key.encode(), cursor, None)
            for number, item in enumerate(items)
            if len(item.value) < MOST_BYTES
        ]
        dictionary = train(messages, size)
        if dictionary is not None:
            found[format.value] = dictionary
    return found


def train(messages: Sequence[bytes], size: int) -> bytes | None:
    """A dictionary of at most `size` bytes, the same for the same messages; None if they are too few, or nothing is gained by it.

    Every fifth message is not learned from: on these it is tried. Takes some 20 ms, in which other threads run.
    """
    learned: list[bytes | bytearray | memoryview] = [message for number, message in enumerate(messages) if number % 5]
    try:
        trained = bytearray(zstandard.train_dictionary(size, learned, k=SEGMENT, d=8, level=LEVEL, dict_id=_FIRST_ID).as_bytes())
    except (zstandard.ZstdError, ValueError):
        return None
    number = _FIRST_ID + int.from_bytes(sha256(trained).digest()[:4], "little") % _IDS
    trained[ID] = number.to_bytes(4, "little")
    dictionary, tried = Dictionary(bytes(trained)), messages[::5]
    sent = sum(len(dictionary.compress(message) or message) for message in tried)
    return bytes(trained) if sent < LEAST_GAIN * sum(map(len, tried)) else None
