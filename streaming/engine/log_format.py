"""The log as lines: for people, and as JSON (`GEOSTREAM_LOG_FORMAT`), for programs that collect logs."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime
from typing import Any

from .log_context import log_context

_ESCAPES = {code: f"\\x{code:02x}" for code in (*range(9), *range(10, 32), *range(127, 160))} | {10: "\\n", 13: "\\r"}
"""Of control characters but the tab, which begin lines and tell terminals what to do."""


class LineFormatter(logging.Formatter):
    """One line a record, and the traceback below it: a name with a line break in it begins no line of its own."""

    def formatMessage(self, record: logging.LogRecord) -> str:
        """The line, without the traceback."""
        record.message = record.message.translate(_ESCAPES)
        return super().formatMessage(record)


class JsonFormatter(logging.Formatter):
    """One line a record: time (UTC), level, logger and message, then the ids of what it is about, and the traceback, if there is one."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its end."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            "process": record.process,
        }
        context = log_context()
        if context is not None:
            line |= context.fields()
        if (user := _session_user(record)) is not None:
            line["user"] = user
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False, default=str)


def _session_user(record: logging.LogRecord) -> Any:
    """The user of a page's session, of a record about a request of Django's: if that is known already, and nobody has to be asked."""
    return getattr(getattr(getattr(record, "request", None), "_cached_user", None), "pk", None)
