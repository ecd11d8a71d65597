"""A process that does one task, which it reads from its standard input, and ends: `python -m streaming.ingestion.worker`."""

from __future__ import annotations

import sys

import msgspec

from streaming.core.errors import StreamError

from .limits import limit
from .tasks import Answer, ReadFeatures, Refused, Task


def _answer(task: Task) -> Answer:
    try:
        if isinstance(task.what, ReadFeatures):
            from .vectors import read_features

            return read_features(task.what)
        from .overviews import make_overviews

        return make_overviews(task.what)
    except StreamError as error:
        return Refused(error.message)
    except ImportError as error:
        return Refused(f"the server cannot read it ({error}): pip install 'django-geostream[ingestion]'")
    except MemoryError:
        return Refused("it takes more memory than GEOSTREAM_INGEST_MEMORY_BYTES allows")


def main() -> None:
    """Do the task."""
    task = msgspec.json.decode(sys.stdin.buffer.read(), type=Task)
    limit(task.memory, task.seconds, task.file_bytes)
    sys.stdout.buffer.write(msgspec.json.encode(_answer(task)))


if __name__ == "__main__":
    main()
