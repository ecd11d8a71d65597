"""The rows of its own connections."""

from streaming.models import Connection


class EchoClient(Connection):
    class Meta:
        proxy = True
        verbose_name = "echo client"
