"""Writes the members of topics to the database for the admin, a little later than they change, together with the recorder's rows."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import islice

from streaming.engine.rows import brief, distinct_rows, remove_rows, short_text, utc
from streaming.models import Presence as PresenceRow

from .presence import Presence, Tracked

PRESENCES = 5000
"""Members of topics that are written at a time; more wait for the next one."""
LONGEST_ID = 600
"""Characters of the id of a member of a topic."""
LONGEST_KEY = 255
_STATE = ("key", "meta")


class PresenceRows:
    """The rows of one process: a `TableWriter`."""

    def __init__(self, presence: Presence) -> None:
        self._presence = presence
        self._written: dict[str, bytes] = {}  # members as last written
        self._kept: dict[str, bytes] = {}
        self._changed: dict[str, bytes] = {}
        self._rows: list[Callable[[], PresenceRow]] = []
        self._gone: list[str] = []

    def gather(self, node: str) -> bool:
        """The members that are new, different or gone."""
        tracked = self._presence.tracked
        changed = islice((key for key, member in tracked.items() if self._written.get(key) != member.value), PRESENCES)
        self._changed = {key: tracked[key].value for key in changed}
        self._rows = [partial(_row, node, tracked[key]) for key in self._changed]
        self._gone = [short_text(key, LONGEST_ID) for key in self._written.keys() - tracked.keys()]
        self._kept = {key: value for key, value in self._written.items() if key in tracked}
        return bool(self._rows or self._gone)

    def write(self) -> None:
        """Delete and upsert."""
        remove_rows(PresenceRow, self._gone)
        PresenceRow.objects.bulk_create(distinct_rows(self._rows), 500, update_conflicts=True, unique_fields=["id"], update_fields=_STATE)

    def settle(self, known: bool) -> None:
        """Remember what has rows now."""
        self._written = {**self._kept, **self._changed} if known else self._changed


def _row(node: str, tracked: Tracked) -> PresenceRow:
    member = tracked.member
    return PresenceRow(
        id=short_text(member.id, LONGEST_ID),
        node_id=node,
        connection_id=member.channel.connection.id if member.channel is not None else "",
        topic=member.topic,
        key=short_text(tracked.key, LONGEST_KEY),
        meta=brief(tracked.meta),
        since=utc(member.since),
    )
