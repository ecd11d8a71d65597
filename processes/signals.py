"""The file of a blob goes with its row."""

from __future__ import annotations

import logging
from typing import Any

from django.db import transaction
from django.db.models.signals import post_delete
from django.dispatch import receiver

from .models import Blob

logger = logging.getLogger(__name__)


@receiver(post_delete, sender=Blob)
def delete_file(instance: Blob, **kwargs: Any) -> None:
    """Once it is certain that the row is gone."""
    name, storage = instance.file.name or "", instance.file.storage

    def delete() -> None:
        try:
            storage.delete(name)
        except OSError as error:
            logger.warning("the file %s of a deleted value is left over: %s", name, error)

    if name:
        transaction.on_commit(delete)
