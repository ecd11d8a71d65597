"""What a sync remembers of a folder: for each path the content that both sides agreed on last, in SQLite.

The state is beside the folder's own files only by choice (`--state-dir`); by default it is in the user's data folder, one for each pair of
folder and server.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import astuple, dataclass, fields
from hashlib import sha256
from pathlib import Path
from uuid import uuid4

from .errors import SyncError

_TABLES = """
CREATE TABLE IF NOT EXISTS base (
    path TEXT PRIMARY KEY, hash TEXT NOT NULL, size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL, ctime_ns INTEGER NOT NULL,
    inode INTEGER NOT NULL, scanned_ns INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS sizes (minute INTEGER PRIMARY KEY, files INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
"""


@dataclass(frozen=True, slots=True)
class BaseEntry:
    """The content of a path that both sides had, and the local file that had it. A folder's hash is empty."""

    path: str
    hash: str
    size: int = 0
    mtime_ns: int = 0
    ctime_ns: int = 0
    inode: int = 0
    scanned_ns: int = 0
    """When the file was last looked at: one that was modified just before may change again without a new time."""


_COLUMNS = ", ".join(each.name for each in fields(BaseEntry))
_MARKS = ", ".join("?" for _ in fields(BaseEntry))


class State:
    """The state of one folder and server, locked against a second sync. Close it."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._lock = os.open(folder / "lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._lock)
            raise SyncError(f"another sync of this folder is running ({folder / 'lock'} is locked)") from None
        self._database = sqlite3.connect(folder / "state.sqlite3", isolation_level=None, check_same_thread=False)
        self._database.execute("PRAGMA journal_mode=WAL")
        self._database.execute("PRAGMA synchronous=NORMAL")
        self._database.executescript(_TABLES)

    def close(self) -> None:
        """Let another sync have the folder."""
        self._database.close()
        with suppress(OSError):
            os.close(self._lock)

    def base(self) -> dict[str, BaseEntry]:
        """All paths that were agreed on."""
        rows = self._database.execute(f"SELECT {_COLUMNS} FROM base")  # names of our own
        return {row[0]: BaseEntry(*row) for row in rows}

    def entry(self, path: str) -> BaseEntry | None:
        """One of them."""
        row = self._database.execute(f"SELECT {_COLUMNS} FROM base WHERE path = ?", (path,)).fetchone()
        return BaseEntry(*row) if row else None

    def agree(self, entries: Iterable[BaseEntry]) -> None:
        """Both sides have these."""
        self._all(f"INSERT OR REPLACE INTO base ({_COLUMNS}) VALUES ({_MARKS})", map(astuple, entries))

    def forget(self, paths: Iterable[str]) -> None:
        """Neither side has these any more."""
        self._all("DELETE FROM base WHERE path = ?", ((path,) for path in paths))

    def files(self, now: float, seconds: float) -> tuple[int, int]:
        """How many files were agreed on, and the most that there were when this was asked in so many seconds before `now` (Unix time)."""
        (files,) = self._database.execute("SELECT count(*) FROM base WHERE hash != ''").fetchone()
        minute = int(now // 60)
        self._database.execute("DELETE FROM sizes WHERE minute NOT BETWEEN ? AND ?", (minute - seconds // 60, minute))
        self._database.execute(
            "INSERT INTO sizes VALUES (?, ?) ON CONFLICT (minute) DO UPDATE SET files = max(files, excluded.files)", (minute, files)
        )
        return files, self._database.execute("SELECT max(files) FROM sizes").fetchone()[0]

    def forget_sizes(self) -> None:
        """As if there had never been more files than now."""
        self._database.execute("DELETE FROM sizes")

    def get(self, name: str, default: str = "") -> str:
        """A remembered word: the client's id, the last number of the server's log, …"""
        row = self._database.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
        return str(row[0]) if row else default

    def set(self, name: str, value: str) -> None:
        """Remember a word."""
        self._database.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (name, value))

    def client_id(self) -> str:
        """A random one, the same every time."""
        if not (known := self.get("client_id")):
            known = str(uuid4())
            self.set("client_id", known)
        return known

    def _all(self, statement: str, rows: Iterable[tuple[object, ...]]) -> None:
        self._database.execute("BEGIN IMMEDIATE")
        try:
            self._database.executemany(statement, rows)
        except BaseException:
            self._database.execute("ROLLBACK")
            raise
        self._database.execute("COMMIT")


def default_folder(server: str, local: Path) -> Path:
    """Where the state of a folder and a server is."""
    home = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share")
    name = sha256(f"{server}\n{local.resolve()}".encode()).hexdigest()[:16]
    return home / "geostream-sync" / name
