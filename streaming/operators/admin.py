"""The admin of who is connected right now, with a way to end a connection.

Nodes, connections, subscriptions and presence are written by the server processes about once a second (`engine/recorder.py`); here they
can only be looked at. Nothing on these pages fails because Redis is away.
"""

from __future__ import annotations

import json
from typing import Any

from asgiref.sync import async_to_sync
from channels.layers import get_channel_layer
from django.contrib import admin, messages
from django.contrib.admin.utils import quote
from django.contrib.humanize.templatetags.humanize import naturaltime
from django.core.exceptions import PermissionDenied
from django.db.models import Count, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.defaultfilters import filesizeformat
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.views.decorators.http import require_POST

from streaming.core.errors import StreamError
from streaming.core.hub import CONTROL_GROUP
from streaming.core.redis import refusing
from streaming.engine.read_only_admin import ReadOnlyAdmin
from streaming.models import Connection, Node, Presence, Subscription

from .alerts import admin as _alerts  # noqa: F401  # registers its pages


@admin.register(Node)
class NodeAdmin(ReadOnlyAdmin):
    """Server processes."""

    list_display = ("__str__", "host", "pid", "connected", "started", "seen")
    list_filter = ("host",)
    search_fields = ("id", "host")
    ordering = ("host", "pid")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Rows with their number of connections."""
        rows: QuerySet[Any] = super().get_queryset(request).annotate(connected=Count("connections"))
        return rows

    @admin.display(description="connections", ordering="connected")
    def connected(self, node: Any) -> int:
        """Open WebSockets."""
        count: int = node.connected
        return count


@admin.register(Connection)
class ConnectionAdmin(ReadOnlyAdmin):
    """Open WebSockets."""

    list_display = ("who", "dialect", "address", "opened", "subscribed", "received", "sent", "queue", "node")
    list_filter = ("dialect", "node")
    list_select_related = ("node",)
    search_fields = ("id", "user", "address")
    ordering = ("-since",)
    readonly_fields = ("who", "opened", "subscribed", "queue", "end")
    actions = ("disconnect",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Rows with their number of subscriptions."""
        rows: QuerySet[Any] = super().get_queryset(request)
        subscriptions = Subscription.objects.filter(connection=OuterRef("pk")).order_by().values("connection")
        count = Subquery(subscriptions.annotate(number=Count("pk")).values("number"))  # of the rows that are shown; a join counts all
        rows = rows.annotate(subscribed=Coalesce(count, 0))
        return rows

    def get_list_display(self, request: HttpRequest) -> list[Any]:
        """The columns, with the button for those who may use it."""
        return [*self.list_display, "end"] if self.has_disconnect_permission(request) else list(self.list_display)

    def get_fields(self, request: HttpRequest, obj: Any = None) -> list[Any]:
        """The same for one connection, and its id."""
        return ["id", *self.get_list_display(request)]

    def get_urls(self) -> list[URLPattern]:
        """And where the button goes."""
        view = self.admin_site.admin_view(require_POST(self.disconnect_view))
        return [path("<path:connection_id>/disconnect/", view, name="streaming_connection_disconnect"), *super().get_urls()]

    def has_disconnect_permission(self, request: HttpRequest) -> bool:
        """Whether the user may end connections."""
        return any(request.user.has_perm(f"streaming.{verb}_connection") for verb in ("change", "delete"))

    @admin.action(description="Disconnect selected connections", permissions=["disconnect"])
    def disconnect(self, request: HttpRequest, connections: QuerySet[Connection]) -> None:
        """End connections, wherever they are."""
        try:
            for connection in connections:
                _close(connection.pk)
                self.log_change(request, connection, "Disconnected")
        except StreamError as error:
            self.message_user(request, f"Not all could be disconnected: {error.message}", messages.ERROR)
        else:
            self.message_user(request, f"{len(connections)} disconnected. They leave the list within a moment.", messages.SUCCESS)

    def disconnect_view(self, request: HttpRequest, connection_id: str) -> HttpResponse:
        """The button: end one connection."""
        if not self.has_disconnect_permission(request):
            raise PermissionDenied
        get_object_or_404(Connection, pk=connection_id)
        self.disconnect(request, Connection.objects.filter(pk=connection_id))
        return HttpResponseRedirect(reverse("admin:streaming_connection_changelist"))

    @admin.display(description="user", ordering="user", empty_value="anonymous")
    def who(self, connection: Connection) -> str | None:
        """The user, or nobody."""
        return connection.user or None

    @admin.display(description="since", ordering="since")
    def opened(self, connection: Connection) -> str:
        """How long ago it was opened."""
        return f"{naturaltime(connection.since)}"

    @admin.display(ordering="queue_messages")
    def queue(self, connection: Connection) -> str:
        """What waits for the client."""
        return f"{connection.queue_messages:,} ({filesizeformat(connection.queue_bytes)})" if connection.queue_messages else "0"

    @admin.display(description="subscriptions", ordering="subscribed")
    def subscribed(self, connection: Any) -> int:
        """How many subscriptions it has."""
        count: int = connection.subscribed
        return count

    @admin.display(description="disconnect")
    def end(self, connection: Connection) -> str:
        """The button; it belongs to the page's own form, whose CSRF token goes with it."""
        where = reverse("admin:streaming_connection_disconnect", args=[quote(connection.pk)])
        return format_html('<button type="submit" class="button" formmethod="post" formaction="{}">Disconnect</button>', where)


@admin.register(Subscription)
class SubscriptionAdmin(ReadOnlyAdmin):
    """What open WebSockets are subscribed to."""

    list_display = ("subscription_id", "feed", "shown_filter", "user", "address", "dialect", "waiting", "lag", "dropped", "opened", "node")
    list_filter = ("kind", "connection__dialect", "connection__node")
    list_select_related = ("connection__node",)
    search_fields = ("subscription_id", "feed", "connection__id", "connection__user", "connection__address")
    ordering = ("feed", "since")

    @admin.display(description="filter")
    def shown_filter(self, subscription: Subscription) -> str:
        """The conditions, shortened."""
        parts = [f"{name}: {_shown(value)}" for name, value in subscription.filter.items()]
        text = ", ".join(parts) or "everything"
        return text if len(text) <= 120 else text[:119] + "…"

    @admin.display(description="since", ordering="since")
    def opened(self, subscription: Subscription) -> str:
        """How long ago it was made."""
        return f"{naturaltime(subscription.since)}"

    @admin.display(ordering="connection__user", empty_value="anonymous")
    def user(self, subscription: Subscription) -> str | None:
        """Whose it is."""
        return subscription.connection.user or None

    @admin.display(ordering="connection__address")
    def address(self, subscription: Subscription) -> str:
        """Where the client is."""
        return subscription.connection.address

    @admin.display(ordering="connection__dialect")
    def dialect(self, subscription: Subscription) -> str:
        """What it speaks."""
        return subscription.connection.dialect

    @admin.display(ordering="connection__node")
    def node(self, subscription: Subscription) -> Node:
        """The process that serves it."""
        return subscription.connection.node


@admin.register(Presence)
class PresenceAdmin(ReadOnlyAdmin):
    """Who is on which topic."""

    list_display = ("key", "topic", "shown_meta", "opened", "node", "connection")
    list_filter = ("node",)
    list_select_related = ("node",)
    search_fields = ("id", "topic", "key", "connection_id")
    fields = ("id", "key", "topic", "meta", "opened", "node", "connection")
    readonly_fields = ("opened", "connection")

    @admin.display(description="meta")
    def shown_meta(self, presence: Presence) -> str:
        """The meta that the other members receive, shortened."""
        text = ", ".join(f"{name}: {_shown(value)}" for name, value in presence.meta.items() if name != "phx_ref")
        return text if len(text) <= 120 else text[:119] + "…"

    @admin.display(description="since", ordering="since")
    def opened(self, presence: Presence) -> str:
        """How long ago the member came."""
        return f"{naturaltime(presence.since)}"

    @admin.display(description="connection", ordering="connection_id")
    def connection(self, presence: Presence) -> str:
        """A link to the connection, if it has a row."""
        if not presence.connection_id:
            return ""
        where = reverse("admin:streaming_connection_change", args=[quote(presence.connection_id)])
        return format_html('<a href="{}">{}</a>', where, presence.connection_id)


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _close(connection_id: str) -> None:
    """Have every process end a connection, if it is its own. `StreamError` if Redis does not answer."""
    with refusing():
        async_to_sync(get_channel_layer().group_send)(CONTROL_GROUP, {"type": "connection.close", "connection": connection_id})
