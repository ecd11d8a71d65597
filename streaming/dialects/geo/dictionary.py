"""A zstd dictionary of a layer's messages: it makes small messages, which have little to repeat, far smaller.

Only pieces of a layer's own messages are in it. Each frame names its dictionary, by a number that is made of the dictionary's bytes.
"""

from __future__ import annotations

import threading
from functools import cached_property

import zstandard

LEVEL = 3
MOST_BYTES = 16 * 1024
"""Of one message. Larger ones repeat enough by themselves."""
WINDOW_BYTES = 256 * 1024
"""Of messages, after which it is judged again how well they are compressed."""
LOSS = 1.3
"""How much more than at first has to be sent, in proportion, for a dictionary to be worn out."""
ID = slice(4, 8)
"""Where it is in a dictionary (RFC 8878, section 5)."""


def id_of(dictionary: bytes) -> int:
    """The number by which frames name a dictionary."""
    return int.from_bytes(dictionary[ID], "little")


class Dictionary:
    """One dictionary, ready to compress, with what it has saved so far."""

    def __init__(self, data: bytes) -> None:
        self.id = id_of(data)
        self.size = len(data)
        self.plain = self.sent = 0
        """Bytes of the messages that were to be compressed, and of what became of them."""
        self._window = (0, 0)
        self._at_first: float | None = None
        self._compressors = _Compressors(data)

    def compress(self, message: bytes) -> bytes | None:
        """A frame that is shorter than the message; None if there is none."""
        if len(message) > MOST_BYTES:
            return None
        frame: bytes = self._compressors.compressor.compress(message)
        self.plain += len(message)
        self.sent += min(len(frame), len(message))
        return frame if len(frame) < len(message) else None

    def is_worn_out(self) -> bool:
        """Whether messages have become so different from what they were at first that it is time for another one.

        Judged by what was compressed since this was asked last, if that is enough.
        """
        plain, sent = self.plain - self._window[0], self.sent - self._window[1]
        if plain < WINDOW_BYTES:
            return False
        self._window = (self.plain, self.sent)
        if self._at_first is None:
            self._at_first = sent / plain
        return sent / plain > LOSS * self._at_first


class _Compressors(threading.local):
    """zstd's contexts must not be shared between threads. Each has a fifth of a megabyte, and is made when it is needed."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    @cached_property
    def compressor(self) -> zstandard.ZstdCompressor:
        """That of this thread."""
        dictionary = zstandard.ZstdCompressionDict(self._data, dict_type=zstandard.DICT_TYPE_FULLDICT)
        dictionary.precompute_compress(level=LEVEL)
        return zstandard.ZstdCompressor(level=LEVEL, dict_data=dictionary)
