"""Changes of jobs from outside of a server's event loop: the admin's pages and management commands."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TypeVar

from asgiref.sync import async_to_sync
from channels.layers import get_channel_layer
from django.db import transaction

from processes.live.job_events import job_events
from streaming.core.errors import StreamError
from streaming.core.hub import CONTROL_GROUP
from streaming.core.redis import refusing

from .changes import JobChange
from .service import CHANGED

logger = logging.getLogger(__name__)

T = TypeVar("T")


def change_now(operation: Callable[[], T]) -> T:
    """Do an operation of `queue` or `outcomes` in this thread, and notify all server processes of the changes that it returns."""
    with transaction.atomic():
        result = operation()
    changes = [each for each in (result if isinstance(result, list) else [result]) if isinstance(each, JobChange)]
    if changes:
        _announce(changes)
        for each in changes:
            job_events.changed(each)
    return result


def _announce(changes: list[JobChange]) -> None:
    message = {"type": CHANGED, "node": "", "changes": [each.as_message() for each in changes]}
    try:
        with refusing():
            async_to_sync(get_channel_layer().group_send)(CONTROL_GROUP, message)
    except StreamError as error:
        logger.warning("server processes notice %d changed jobs a little later: %s", len(changes), error)
