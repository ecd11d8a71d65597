"""What is kept of an upload that goes on later: what has arrived, and a note of what it is to become.

Both are in the staging folder, so any process can go on with it. All functions but `lock_name` are called in threads.
"""

from __future__ import annotations

import msgspec

from streaming.core.errors import StreamError
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

    @property
    def condition(self) -> Precondition:
        """What must be there when it is complete."""
        pair = (None if each is None else frozenset(each) for each in (self.match, self.none_match))
        return Precondition(*pair)

    @property
    def expires(self) -> float:
        """When it is forgotten."""
        return self.created + float(conf.FILES_TUS_SECONDS)


_decode_note = msgspec.json.Decoder(UploadNote).decode


def lock_name(id: str) -> str:
    """The path whose lock is held by who works at it."""
    return f".hub-uploads/{id}"


def staged_name(id: str) -> str:
    """What it is called in the staging folder."""
    return f"tus-{id}"


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
