"""The databases of a test run: SQLite files, or with GEOSTREAM_TEST_DATABASE=postgres those of the server of GEOSTREAM_TEST_POSTGRES_URL.

Those on PostgreSQL have names that begin with the run's own, so that several runs may share a server, and are gone when it ends.
"""

from __future__ import annotations

import atexit
import os
import shutil
import uuid
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

ON_POSTGRES = os.environ.get("GEOSTREAM_TEST_DATABASE", "sqlite") == "postgres"
URL = os.environ.get("GEOSTREAM_TEST_POSTGRES_URL", "")
FILE = "geostream.sqlite3"
TEMPLATE = "template"

THREADS_END = "ignore::pytest.PytestUnraisableExceptionWarning"
"""Threads in which Django has run a test's queries end with their connections open, of which psycopg warns."""


def url_of(name: str) -> str:
    """Of a database on the server."""
    return urlunsplit(urlsplit(URL)._replace(path=f"/{name}"))


def migrated(folder: Path) -> dict[str, str]:
    """The environment of who makes the database that others are copies of, in a folder."""
    if not ON_POSTGRES:
        return {}
    name = f"{RUN}_{TEMPLATE}"
    _execute(f'CREATE DATABASE "{name}"')
    return {"DATABASE_URL": url_of(name)}


def copied(template: Path, folder: Path) -> None:
    """Give a folder a copy of the database that was migrated."""
    if not ON_POSTGRES:
        shutil.copy(template, folder / FILE)
        return
    name = f"{RUN}_{uuid.uuid4().hex[:8]}"
    _execute(f'CREATE DATABASE "{name}" TEMPLATE "{RUN}_{TEMPLATE}"')
    (folder / "database-url").write_text(url_of(name))


def environment_of(folder: Path) -> dict[str, str]:
    """What a process needs to use a folder's database."""
    return {"DATABASE_URL": (folder / "database-url").read_text()} if ON_POSTGRES else {}


def is_made(name: object) -> bool:
    """Whether a database was made for this run: pytest-django makes none where no test that was chosen uses one."""
    return not ON_POSTGRES or str(name).startswith(RUN)


def url_of_connection(name: object) -> str:
    """Of the database that the tests in this process use."""
    return url_of(str(name)) if ON_POSTGRES else f"sqlite:///{name}"


def _execute(statement: str) -> None:
    import psycopg

    with psycopg.connect(URL, autocommit=True) as server:
        server.execute(statement.encode())


def _drop_all(run: str) -> None:
    import psycopg

    with psycopg.connect(URL, autocommit=True) as server:
        for (name,) in server.execute("SELECT datname FROM pg_database WHERE starts_with(datname, %s)", [run]).fetchall():
            server.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)'.encode())


def _run() -> str:
    """The name of this run, which its workers inherit. Who has given it removes its databases."""
    if not ON_POSTGRES:
        return ""
    if "GEOSTREAM_TEST_RUN" not in os.environ:
        os.environ["GEOSTREAM_TEST_RUN"] = f"geostream_run_{uuid.uuid4().hex[:8]}"
        atexit.register(_drop_all, os.environ["GEOSTREAM_TEST_RUN"])
    return os.environ["GEOSTREAM_TEST_RUN"]


RUN = _run()
