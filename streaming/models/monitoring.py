"""Who is connected, as of about a second ago: written behind by the server processes, for the admin.

No message ever waits for these tables. Connections, subscriptions and presence belong to a node (a server process) and go with it.
"""

from __future__ import annotations

from django.db import models


class Node(models.Model):
    """One server process."""

    id = models.CharField(primary_key=True, max_length=32)
    host = models.CharField(max_length=200)
    pid = models.PositiveIntegerField()
    started = models.DateTimeField()
    seen = models.DateTimeField()

    class Meta:
        ordering = ("host", "pid")

    def __str__(self) -> str:
        return f"{self.host}:{self.pid}"


class Connection(models.Model):
    """One open WebSocket, as of about a second ago."""

    id = models.CharField(primary_key=True, max_length=64)
    node = models.ForeignKey(Node, on_delete=models.CASCADE, related_name="connections")
    dialect = models.CharField(max_length=20)
    format = models.CharField(max_length=40, blank=True)
    user = models.CharField(max_length=150, blank=True)
    address = models.CharField(max_length=64)
    user_agent = models.CharField(max_length=200, blank=True)
    since = models.DateTimeField(db_index=True)
    received = models.BigIntegerField(default=0)
    sent = models.BigIntegerField(default=0)
    queue_messages = models.IntegerField("queue", default=0)
    queue_bytes = models.BigIntegerField(default=0)

    class Meta:
        ordering = ("-since",)

    def __str__(self) -> str:
        return f"{self.dialect} {self.user or 'anonymous'} {self.address}"


class Subscription(models.Model):
    """One subscription of an open WebSocket."""

    id = models.CharField(primary_key=True, max_length=400)
    connection = models.ForeignKey(Connection, on_delete=models.CASCADE, related_name="subscriptions")
    subscription_id = models.CharField(max_length=255)
    kind = models.CharField(max_length=20)
    feed = models.CharField(max_length=255)
    filter = models.JSONField(default=dict)
    west = models.FloatField(null=True, help_text="The bounds of the filter in degrees, if it has a place.")
    south = models.FloatField(null=True)
    east = models.FloatField(null=True)
    north = models.FloatField(null=True)
    since = models.DateTimeField()
    waiting = models.IntegerField(default=0, help_text="Messages waiting for the client.")
    lag = models.BigIntegerField(default=0, help_text="Changes of the feed this process has not pulled yet.")
    dropped = models.BigIntegerField(default=0, help_text="Events dropped because the client was slow.")

    class Meta:
        ordering = ("feed", "since")

    def __str__(self) -> str:
        return f"{self.subscription_id} ({self.feed})"


class Presence(models.Model):
    """One member of a topic, as of about a second ago."""

    id = models.CharField(primary_key=True, max_length=600)
    node = models.ForeignKey(Node, on_delete=models.CASCADE, related_name="presences")
    connection_id = models.CharField("connection", max_length=64, blank=True)
    topic = models.CharField(max_length=255)
    key = models.CharField(max_length=255, blank=True)
    meta = models.JSONField(default=dict)
    since = models.DateTimeField()

    class Meta:
        ordering = ("topic", "since")
        permissions = [
            ("join_topics", "Can get tokens for topics"),
            ("issue_tokens", "Can get tokens for others and for patterns of topics"),
            ("operate_topics", "Can kick and disconnect members and broadcast to topics"),
        ]

    def __str__(self) -> str:
        return f"{self.key} on {self.topic}"
