"""What is kept of an upload that goes on later: what has arrived, and a note of what it is to become.

Both are in the staging folder, so any process can go on with it. What reads or writes there is called in threads. How many somebody has
is in Redis.
"""

from __future__ import annotations

import time
from contextlib import suppress

import msgspec

from streaming.core.errors import StreamError
from streaming.core.keys import COMMON
from streaming.core.redis import async_redis, refusing
from streaming.engine.conf import conf

from ..changes import Precondition
from ..folder import Folder


class UploadNote(msgspec.Struct):
    """What an unfinished upload is to become, and whose it is."""

    path: str
    length: int
    user: str
    created: float
    hash: str | None = None
    modified: int | None = None
    match: list[str] | None = None
    none_match: list[str] | None = None
    checked: int | None = None
    """Up to here a checksum has been compared; what is behind belongs to a part that is still arriving."""
    caller: str = ""
    """Whose number of uploads it counts in: a user's or an address's."""

    @property
    def condition(self) -> Precondition:
        """What must be there when it is complete."""
        pair = (None if each is None else frozenset(each) for each in (self.match, self.none_match))
        return Precondition(*pair)

    @property
    def expires(self) -> float:
        """When it is forgotten."""
        return self.created + float(conf.FILES_TUS_SECONDS)


# KEYS: the uploads of one caller by the time at which they are forgotten. ARGV: now, the id, its time, how many there may be, seconds.
_CLAIM = """
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', ARGV[1])
if redis.call('ZCARD', KEYS[1]) >= tonumber(ARGV[4]) then return 0 end
redis.call('ZADD', KEYS[1], ARGV[3], ARGV[2])
return redis.call('EXPIRE', KEYS[1], ARGV[5])
"""

_decode_note = msgspec.json.Decoder(UploadNote).decode


def lock_name(id: str) -> str:
    """The path whose lock is held by who works at it."""
    return f".hub-uploads/{id}"


def staged_name(id: str) -> str:
    """What it is called in the staging folder."""
    return f"tus-{id}"


async def claim(id: str, note: UploadNote) -> None:
    """`StreamError("rate_limited")` if the caller has too many of them."""
    seconds = int(conf.FILES_TUS_SECONDS)
    with refusing():
        taken = await async_redis().register_script(_CLAIM)(
            [_key(note)], [time.time(), id, note.expires, conf.FILES_UNFINISHED_UPLOADS, seconds + 1]
        )
    if not taken:
        raise StreamError("rate_limited", f"you may have {conf.FILES_UNFINISHED_UPLOADS} unfinished uploads: finish or delete some")


async def release(id: str, note: UploadNote) -> None:
    """One is not unfinished any more."""
    with suppress(StreamError), refusing():  # it ends by itself
        await async_redis().zrem(_key(note), id)


def _key(note: UploadNote) -> str:
    return f"{COMMON}files:unfinished:{note.caller}"


def begin(folder: Folder, id: str, note: UploadNote) -> None:
    """Nothing has arrived yet."""
    folder.store.staging.create(staged_name(id)).close()
    save(folder, id, note)


def save(folder: Folder, id: str, note: UploadNote) -> None:
    """Keep the note."""
    folder.store.staging.write(f"{staged_name(id)}.json", msgspec.json.encode(note))


def load(folder: Folder, id: str) -> UploadNote | None:
    """The note; None for what is complete, forgotten or was never begun."""
    text = folder.store.staging.read(f"{staged_name(id)}.json")
    return None if text is None else _decode_note(text)


def reload(folder: Folder, id: str, note: UploadNote) -> UploadNote:
    """The note as it is now that its lock is held; the old one if it is gone."""
    return load(folder, id) or note


def offset_of(folder: Folder, id: str, note: UploadNote) -> int:
    """How much has arrived for good. What a process that died was still comparing is dropped."""
    size: int | None = folder.store.staging.size(staged_name(id))
    if size is None:
        raise StreamError("not_found", "there is no such upload, or it is complete")
    if note.checked is not None and note.checked < size:
        folder.store.staging.truncate(staged_name(id), note.checked)
        return note.checked
    return size


def forget(folder: Folder, id: str) -> None:
    """Keep nothing of it."""
    folder.store.staging.remove(staged_name(id))
    folder.store.staging.remove(f"{staged_name(id)}.json")
