"""The position of a subscription: the cursor from which it can resume.

A cursor is a promise that everything up to there was received, so it is believed only when the protocol allows it: never while a
snapshot or a difference is still arriving, and after an `update_subscription` not before its ack. Without a cursor that can be
believed the whole state is asked for again, which is slow but never wrong.
"""

from __future__ import annotations

Cursor = str | dict[str, str]
"""A place in the stream; of a subscription to every layer, one for each layer."""


class Position:
    """The cursor of one subscription.

    `arriving` features (or events) are still to come before the state is whole.
    """

    def __init__(self, cursor: Cursor | None = None) -> None:
        self._cursors: dict[str | None, str | None] = _by_layer(cursor)
        self._promised: dict[str | None, str | None] = {}
        self._acks_due = 0
        self.arriving = 0

    @property
    def cursor(self) -> Cursor | None:
        """Where to resume, or None if that is not known."""
        known = {layer: cursor for layer, cursor in self._cursors.items() if cursor is not None}
        if self._acks_due or not known or len(known) != len(self._cursors):
            return None
        if None in known:
            return known[None]
        return {str(layer): cursor for layer, cursor in known.items()}

    def at(self, layer: str | None = None) -> str | None:
        """The cursor of one layer, valid once all that was received up to now has been handled."""
        return None if self._acks_due or self.arriving else self._cursors.get(layer)

    def forget(self) -> None:
        """The subscription is being moved: no cursor counts until one comes after the ack."""
        self._acks_due += 1

    def refused(self) -> None:
        """The ack of a move that did not happen."""
        self._acks_due -= 1
        self._cursors = {}

    def disconnected(self) -> None:
        """No ack and nothing of a snapshot will come any more."""
        if self._acks_due:
            self._cursors = {}
        self._acks_due = 0
        self.arriving = 0
        self._promised = {}

    def moved(self, cursor: Cursor | None, count: int) -> None:
        """The ack of a move: its cursor holds once `count` more have arrived, after those that were arriving already."""
        self._acks_due -= 1
        self._cursors = {}
        self.begin(cursor, self.arriving + count)

    def begin(self, cursor: Cursor | None, count: int) -> None:
        """The ack of a subscription: its cursor holds once `count` have arrived."""
        self.arriving = count
        self._promised = _by_layer(cursor)
        for layer in self._promised:
            self._cursors.setdefault(layer, None)
        if count == 0:
            self._complete()

    def received(self, cursor: str | None, count: int, layer: str | None = None) -> None:
        """A message with so many features (or events); `layer` is None in a subscription to a single layer."""
        self._cursors[layer] = cursor
        was_arriving = self.arriving > 0
        self.arriving = max(0, self.arriving - count)
        if cursor is not None:
            self._promised.pop(layer, None)
            if layer is None or not self._promised:
                self.arriving = 0
        if was_arriving and not self.arriving:
            self._complete()

    def _complete(self) -> None:
        self._cursors.update(self._promised)
        self._promised = {}


def _by_layer(cursor: Cursor | None) -> dict[str | None, str | None]:
    if isinstance(cursor, str):
        return {None: cursor}
    return {layer: place for layer, place in cursor.items()} if cursor else {}  # noqa: C416 (the key's type is wider here)
