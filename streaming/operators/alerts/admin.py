"""The admin of alerts: rules, their history, webhooks and what they were sent."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.widgets import AdminTextareaWidget
from django.db.models import Count, Q, QuerySet
from django.http import HttpRequest
from django.utils import timezone

from streaming.engine.outgoing import AddressRefused
from streaming.engine.read_only_admin import ReadOnlyAdmin
from streaming.models import Alert, AlertDelivery, AlertRule, AlertWebhook

from .readings import offered_measures, parse_labels
from .webhooks import cloud_event, rules

MAX_ADVICE = 4000
"""Characters: it is sent to everybody who is told of an alert."""


class AlertRuleForm(forms.ModelForm):  # type: ignore[type-arg]  # generic only in the stubs
    """A rule about one of the measures that there are."""

    measure = forms.ChoiceField(help_text="A gauge as it is; a counter by how much it grew in the last minute.")
    advice = forms.CharField(
        required=False,
        max_length=MAX_ADVICE,
        widget=AdminTextareaWidget,
        help_text=AlertRule._meta.get_field("advice").help_text,
    )

    class Meta:
        model = AlertRule
        fields = "__all__"

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "measure" in self.fields:  # who may only look has no fields
            field = self.fields["measure"]
            assert isinstance(field, forms.ChoiceField)
            field.choices = [(each.name, f"{each.name}: {each.documentation}") for each in offered_measures().values()]

    def clean(self) -> dict[str, Any]:
        """Labels must be the measure's; what clears an alert must not be beyond its bound."""
        data: dict[str, Any] = super().clean() or {}
        measure, bound, clear = offered_measures().get(data.get("measure", "")), data.get("bound"), data.get("clear_bound")
        if measure is not None:
            try:
                unknown = parse_labels(data.get("labels", "")).keys() - {*measure.labels}
            except ValueError as error:
                self.add_error("labels", str(error))
            else:
                if unknown:
                    has = f"the labels {', '.join(measure.labels)}" if measure.labels else "no labels"
                    self.add_error("labels", f"{measure.name} has {has}, not {', '.join(sorted(unknown))}")
        if bound is not None and clear is not None and (clear > bound if data.get("comparison") == "above" else clear < bound):
            self.add_error("clear_bound", "It would be well and not at the same time: it must be on the good side of the bound.")
        return data


@admin.register(AlertRule)
class AlertRuleAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Rules."""

    form = AlertRuleForm
    list_display = ("name", "condition", "severity", "firing", "enabled", "silenced_until")
    list_filter = ("severity", "enabled")
    search_fields = ("name", "measure")
    actions = ("silence_for_an_hour", "silence_for_a_day", "end_silence")
    fieldsets = (
        (None, {"fields": ("name", "severity", "enabled", "silenced_until", "advice")}),
        ("Fires", {"fields": ("measure", "labels", "scope", "comparison", "bound", "for_seconds")}),
        ("Is resolved", {"fields": ("clear_bound", "clear_seconds")}),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """With how many alerts fire."""
        rows: QuerySet[Any] = super().get_queryset(request).annotate(fires=Count("alerts", filter=Q(alerts__resolved=None)))
        return rows

    @admin.display(ordering="measure")
    def condition(self, rule: AlertRule) -> str:
        """The rule in one line."""
        labels = f"{{{rule.labels}}}" if rule.labels else ""
        return f"{rule.measure}{labels} {rule.comparison} {rule.bound:g} for {rule.for_seconds} s, of {rule.get_scope_display()}"

    @admin.display(ordering="fires")
    def firing(self, rule: Any) -> int:
        """How many alerts fire now."""
        fires: int = rule.fires
        return fires

    @admin.action(description="Silence for an hour", permissions=["change"])
    def silence_for_an_hour(self, request: HttpRequest, rows: QuerySet[AlertRule]) -> None:
        """Tell nobody."""
        self._silence(request, rows, timedelta(hours=1))

    @admin.action(description="Silence for a day", permissions=["change"])
    def silence_for_a_day(self, request: HttpRequest, rows: QuerySet[AlertRule]) -> None:
        """Tell nobody."""
        self._silence(request, rows, timedelta(days=1))

    @admin.action(description="End the silence", permissions=["change"])
    def end_silence(self, request: HttpRequest, rows: QuerySet[AlertRule]) -> None:
        """Tell again."""
        self._silence(request, rows, None)

    def _silence(self, request: HttpRequest, rows: QuerySet[AlertRule], time: timedelta | None) -> None:
        until = None if time is None else timezone.now() + time
        for rule in rows:
            rule.silenced_until = until
            rule.save(update_fields=["silenced_until"])
            self.log_change(request, rule, "Silence ended." if until is None else f"Silenced until {until:%Y-%m-%d %H:%M} UTC.")


@admin.register(Alert)
class AlertAdmin(ReadOnlyAdmin):
    """What fires, and what has fired."""

    list_display = ("rule", "severity", "where", "since", "resolved", "value", "worst", "announced")
    list_filter = ("rule__severity", ("resolved", admin.EmptyFieldListFilter), "rule")
    list_select_related = ("rule",)
    search_fields = ("rule__name", "where")
    date_hierarchy = "since"

    @admin.display(ordering="rule__severity")
    def severity(self, alert: Alert) -> str:
        """Its rule's."""
        return alert.rule.severity


class AlertWebhookForm(forms.ModelForm):  # type: ignore[type-arg]
    """An address that this server may connect to."""

    url = forms.URLField(label="URL", max_length=2000, assume_scheme="https")

    class Meta:
        model = AlertWebhook
        fields = ("name", "url", "enabled")

    def clean_url(self) -> str:
        """One that is public, or allowed by GEOSTREAM_ALERT_PRIVATE_ADDRESSES. Its name is judged with each request."""
        url: str = self.cleaned_data["url"]
        try:
            rules().check(url)
        except AddressRefused as error:
            raise forms.ValidationError(f"This server does not connect to it: {error}.") from None
        return url


@admin.register(AlertWebhook)
class AlertWebhookAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Webhooks."""

    form = AlertWebhookForm
    list_display = ("name", "url", "enabled", "waiting", "given_up")
    actions = ("send_test",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """With what became of their requests."""
        rows: QuerySet[Any] = super().get_queryset(request)
        counts = {state: Count("deliveries", filter=Q(deliveries__state=state)) for state in ("waiting", "given_up")}
        counted: QuerySet[Any] = rows.annotate(**{f"count_{state}": count for state, count in counts.items()})
        return counted

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """The secret is shown to those who may change the webhook, once there is one."""
        shows = obj is not None and self.has_change_permission(request, obj)
        return ("name", "url", "enabled", "secret") if shows else ("name", "url", "enabled")

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """The secret is made once."""
        return ("secret",)

    @admin.display(ordering="count_waiting")
    def waiting(self, webhook: Any) -> int:
        """Requests that are to be sent."""
        count: int = webhook.count_waiting
        return count

    @admin.display(ordering="count_given_up")
    def given_up(self, webhook: Any) -> int:
        """Requests that were tried for hours in vain, or refused."""
        count: int = webhook.count_given_up
        return count

    @admin.action(description="Send a test event", permissions=["change"])
    def send_test(self, request: HttpRequest, rows: QuerySet[AlertWebhook]) -> None:
        """The event `geostream.alert.test`, within seconds."""
        for webhook in rows.filter(enabled=True):
            event = cloud_event("alert.test", {"message": "This is a test.", "by": request.user.get_username()})
            AlertDelivery.objects.create(webhook=webhook, url=webhook.url, next_at=timezone.now(), event=event)
        self.message_user(request, "It will be sent within seconds; its row under Alert deliveries says what became of it.", messages.INFO)


@admin.register(AlertDelivery)
class AlertDeliveryAdmin(ReadOnlyAdmin):
    """What webhooks were sent."""

    list_display = ("webhook", "type", "state", "attempts", "created", "sent", "last_error")
    list_filter = ("state", "webhook")
    list_select_related = ("webhook",)

    @admin.display(description="event")
    def type(self, delivery: AlertDelivery) -> str:
        """What it tells."""
        return f"{delivery.event.get('type', '')} {delivery.event.get('subject', '')}"
