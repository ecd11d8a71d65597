"""Files: who changed what, what is in the trash, and which clients there are. Written behind; the folder itself is on the disk."""

from __future__ import annotations

from django.db import models


class FileChange(models.Model):
    """One change of the folder, for the audit."""

    at = models.DateTimeField("time", db_index=True)
    action = models.CharField(max_length=10, help_text="upload, delete, move, mkdir, restore; create and update: by another program.")
    path = models.CharField(max_length=1024)
    target = models.CharField(max_length=1024, blank=True, help_text="Where it was moved to.")
    hash_before = models.CharField(max_length=64, blank=True)
    hash_after = models.CharField(max_length=64, blank=True)
    size = models.BigIntegerField(default=0)
    user = models.CharField(max_length=150, blank=True)
    client = models.CharField(max_length=128, blank=True)
    address = models.CharField(max_length=64, blank=True)
    trash = models.CharField(max_length=40, blank=True, help_text="What was deleted or replaced, in the trash.")

    class Meta:
        ordering = ("-at", "-id")
        indexes = [
            models.Index(fields=["path", "at"], name="filechange_path"),
            models.Index(fields=["target", "at"], name="filechange_target"),
            models.Index(fields=["user", "at"], name="filechange_user"),
            models.Index(fields=["action", "at"], name="filechange_action"),
        ]
        permissions = [
            ("list_files", "Can see which files there are"),
            ("read_files", "Can download files"),
            ("write_files", "Can upload and move files, and make directories"),
            ("delete_files", "Can delete and move files"),
        ]

    def __str__(self) -> str:
        return f"{self.action} {self.path}"


class TrashedFile(models.Model):
    """One file or directory in the trash."""

    id = models.CharField(primary_key=True, max_length=40)
    at = models.DateTimeField("time", db_index=True)
    path = models.CharField(max_length=1024)
    size = models.BigIntegerField(default=0)
    hash = models.CharField(max_length=64, blank=True)
    user = models.CharField(max_length=150, blank=True)
    replaced = models.BooleanField(default=False, help_text="Another version has taken its place.")

    class Meta:
        ordering = ("-at", "-id")
        indexes = [models.Index(fields=["path", "at"], name="trashedfile_path")]

    def __str__(self) -> str:
        return self.path


class SyncClient(models.Model):
    """One client that has subscribed to the folder, now or before."""

    id = models.CharField(primary_key=True, max_length=128)
    user = models.CharField(max_length=150, blank=True)
    address = models.CharField(max_length=64, blank=True)
    since = models.DateTimeField(null=True, help_text="When it subscribed last.")
    seen = models.DateTimeField()
    seq = models.BigIntegerField(default=0, help_text="The number of the last change that it was sent.")
    connected = models.BooleanField(default=False)

    class Meta:
        ordering = ("-seen",)

    def __str__(self) -> str:
        return self.id


class FileIngest(models.Model):
    """One file that is to become a layer or a tileset, and what has become of it."""

    path = models.CharField(primary_key=True, max_length=1024)
    status = models.CharField(
        max_length=10, choices=[(each, each) for each in ("queued", "running", "ready", "failed", "ignored")], db_index=True
    )
    kind = models.CharField(max_length=10, blank=True, help_text="What it becomes: a layer or a tileset.")
    layer = models.CharField(max_length=100, blank=True)
    tileset = models.CharField(max_length=100, blank=True)
    made = models.BigIntegerField(null=True, blank=True, help_text="The number of the layer or tileset that it has made.")
    fingerprint = models.CharField(max_length=64, blank=True, help_text="What it was last made of.")
    message = models.CharField(max_length=500, blank=True)
    progress = models.FloatField(null=True, blank=True)
    features = models.PositiveIntegerField(null=True, blank=True)
    bbox = models.JSONField(null=True, blank=True, help_text="West, south, east, north in degrees.")
    crs = models.CharField(max_length=100, blank=True, help_text="Of the file.")
    updated = models.DateTimeField(db_index=True)

    class Meta:
        ordering = ("-updated", "path")

    def __str__(self) -> str:
        return self.path
