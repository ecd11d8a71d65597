"""Decoding errors: refusals of frames that are no messages, with what is needed to answer them."""

from __future__ import annotations

from ...core.errors import StreamError
from .encoding import Encoding

MAX_DEPTH = 126
"""Levels of arrays and objects inside a message, in every format, so that what came in one can go out in any other."""

BYTES_PER_PART = 16
"""A message may have one array, object or member for so many bytes of the largest message, not more: reading them is what costs. A zstd
frame of seventy bytes can hold a million empty arrays, which would keep everybody waiting for more than a second."""


class DecodeError(StreamError):
    """A frame that is no message. `request_id` and `encoding` are what could still be made out of it, for the answer."""

    def __init__(self, code: str, message: str, request_id: str | None = None, encoding: Encoding | None = None) -> None:
        super().__init__(code, message)
        self.request_id = request_id
        self.encoding = encoding


def too_many() -> DecodeError:
    """The refusal of a message with too many parts."""
    return DecodeError("too_large", "the message has too many arrays, objects or members")


def too_deep() -> DecodeError:
    """The refusal of a message with too many levels."""
    return DecodeError("bad_frame", f"the message is nested more than {MAX_DEPTH} levels deep")
