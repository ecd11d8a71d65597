"""Values that are too large for a message."""

from __future__ import annotations

import uuid

from django.db import models


class Blob(models.Model):
    """Bytes in Django's storage: an input or an output of a job."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    file = models.FileField(upload_to="processes/%Y/%m/%d/", max_length=300)
    size = models.BigIntegerField()
    sha256 = models.CharField(max_length=64)
    media_type = models.CharField(max_length=200, blank=True)
    token = models.ForeignKey("processes.WorkerToken", null=True, on_delete=models.SET_NULL, help_text="Whose worker uploaded it.")
    job = models.ForeignKey("processes.Job", null=True, on_delete=models.CASCADE, related_name="blobs", help_text="Empty: not used yet.")
    created = models.DateTimeField(auto_now_add=True)

    class Meta:
        indexes = (models.Index(fields=("created",), condition=models.Q(job=None), name="unused_blobs"),)

    def __str__(self) -> str:
        return str(self.id)
