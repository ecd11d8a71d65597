"""What vector tiles have of features beside geometry, in columns: ids, and properties in their encoded form.

Each pair of a key and a value is kept once and has a number. Features are read when a tile first shows them; what was
read is never modified, so threads may go on reading.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from typing import NamedTuple
from zlib import crc32

import msgspec
import numpy as np
from numpy.typing import NDArray

from streaming.core.items import Item

from .mvt_values import EncodedProperties, encode_properties, id_field
from .varints import Counts, row_places

Rows = NDArray[np.int64]
_FEWEST = 64


class PairTable:
    """Pairs of a key and an encoded value, by number."""

    def __init__(self) -> None:
        self.keys: list[str] = []
        self.values: list[bytes] = []
        self._numbers: dict[tuple[str, bytes], int] = {}

    def __len__(self) -> int:
        return len(self.values)

    def number(self, pair: tuple[str, bytes]) -> int:
        """The number of a pair, which is new or known."""
        found = self._numbers.get(pair)
        if found is None:
            found = self._numbers[pair] = len(self.keys)
            self.keys.append(pair[0])
            self.values.append(pair[1])
        return found


class TileAttributes(NamedTuple):
    """Those of the features of a tile. `pairs` are numbers in the table, `counts` how many of them each feature has.

    `owners` are hashes that stay the same while a feature's properties change.
    """

    ids: NDArray[np.uint64]
    has_id: NDArray[np.bool_]
    owners: NDArray[np.uint32]
    counts: Counts
    pairs: Rows
    keys: Sequence[str]
    values: Sequence[bytes]

    def rows(self, rows: Rows) -> TileAttributes:
        """Those of some of the features, in this order. A feature may be there more than once."""
        starts = np.cumsum(self.counts) - self.counts
        pairs = self.pairs[row_places(starts[rows], self.counts[rows])]
        return TileAttributes(self.ids[rows], self.has_id[rows], self.owners[rows], self.counts[rows], pairs, self.keys, self.values)


class Attributes:
    """Those of the features of a segment, by row."""

    def __init__(self, size: int) -> None:
        self.ids = np.zeros(size, np.uint64)
        self.has_id = np.zeros(size, bool)
        self.owners = np.zeros(size, np.uint32)
        self.counts = np.zeros(size, np.int64)
        self.starts = np.full(size, -1, np.int64)
        """Where the pairs of a feature start; -1 if it was not read yet."""
        self.table = PairTable()
        self._pairs = np.empty(_FEWEST, np.int64)
        self._used = 0
        self._lock = threading.Lock()

    def of(self, items: Sequence[Item], rows: Rows) -> TileAttributes:
        """Those of some features; `items` are those of all."""
        if (self.starts[rows] < 0).any():
            with self._lock:
                self._read(items, rows[self.starts[rows] < 0].tolist())
        counts = self.counts[rows]
        pairs = self._pairs[row_places(self.starts[rows], counts)]
        return TileAttributes(self.ids[rows], self.has_id[rows], self.owners[rows], counts, pairs, self.table.keys, self.table.values)

    def put(self, features: Iterable[tuple[int, int | None, EncodedProperties]]) -> None:
        """Keep features: row, id and properties."""
        number, pairs = self.table.number, list[int]()
        rows, counts = list[int](), list[int]()
        for row, id, properties in features:
            rows.append(row)
            counts.append(len(properties))
            pairs += map(number, properties)
            owner = b"" if id is None and not properties else properties[0][1] if id is None else id_field(id)
            self.owners[row] = crc32(owner)
            if id is not None:
                self.ids[row], self.has_id[row] = id, True
        self._append(np.array(rows, np.int64), np.array(counts, np.int64), np.array(pairs, np.int64))

    def put_rows(self, rows: Rows, others: Attributes, of: Rows) -> None:
        """Keep those that others have read of some of their features."""
        read = others.starts[of] >= 0
        rows, of = rows[read], of[read]
        counts = others.counts[of]
        pairs = others._pairs[row_places(others.starts[of], counts)]
        here = np.zeros(len(others.table), np.int64)
        for pair in np.unique(pairs).tolist():
            here[pair] = self.table.number((others.table.keys[pair], others.table.values[pair]))
        self.ids[rows], self.has_id[rows], self.owners[rows] = others.ids[of], others.has_id[of], others.owners[of]
        self._append(rows, counts, here[pairs])

    def _append(self, rows: Rows, counts: Counts, pairs: Rows) -> None:
        used = self._used + len(pairs)
        if used > len(self._pairs):
            larger = np.empty(2 * used, np.int64)
            larger[: self._used] = self._pairs[: self._used]
            self._pairs = larger
        self._pairs[self._used : used] = pairs
        self.counts[rows] = counts
        self.starts[rows] = self._used + np.cumsum(counts) - counts  # last: other threads read what has a start
        self._used = used

    def _read(self, items: Sequence[Item], rows: Iterable[int]) -> None:
        self.put((row, *_attributes(items[row])) for row in rows if self.starts[row] < 0)


def joined(parts: Sequence[TileAttributes]) -> TileAttributes:
    """Those of several segments, one behind the other."""
    if len(parts) == 1:
        return parts[0]
    keys, values, pairs = list[str](), list[bytes](), list[Rows]()
    for part in parts:
        pairs.append(part.pairs + len(keys))
        size = int(part.pairs.max(initial=-1)) + 1  # more may be added meanwhile
        keys += part.keys[:size]
        values += part.values[:size]
    columns = (np.concatenate([part[column] for part in parts] or [np.empty(0, kind)]) for column, kind in enumerate(_KINDS))
    ids, has_id, owners, counts = columns
    return TileAttributes(ids, has_id, owners, counts, np.concatenate([*pairs, np.empty(0, np.int64)]), keys, values)


_KINDS = (np.uint64, np.bool_, np.uint32, np.int64)


class _Feature(msgspec.Struct):
    id: object = None
    properties: dict[str, object] | None = None


_decode = msgspec.json.Decoder(_Feature).decode


def _attributes(item: Item) -> tuple[int | None, EncodedProperties]:
    """Parsed here, not taken from `item.feature`, which the item would keep although only tiles need it."""
    feature = _decode(item.value)
    id, properties = feature.id, feature.properties or {}
    if isinstance(id, int) and not isinstance(id, bool) and 0 <= id < 1 << 64:
        return id, encode_properties(properties)
    return None, encode_properties({"id": id, **properties} if id is not None else properties)
