"""The admin of alerts: what its forms refuse, and what its actions do."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.utils import timezone

from streaming.models import Alert, AlertDelivery, AlertRule, AlertWebhook
from streaming.operators.alerts.admin import AlertRuleForm, AlertWebhookForm

pytestmark = pytest.mark.django_db
RULE = {"name": "Slow", "measure": "geostream_closed_total", "labels": "code=slow", "scope": "site", "comparison": "above", "bound": 5}
TIMES = {"for_seconds": 0, "clear_seconds": 60, "severity": "warning", "enabled": True}


@pytest.fixture
def admin() -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("root"))
    return client


def errors(**changes: Any) -> dict[str, Any]:
    return dict(AlertRuleForm({**RULE, **TIMES, **changes}).errors)


def test_a_rule_is_about_a_measure_and_its_labels() -> None:
    assert errors() == {}
    assert "measure" in errors(measure="geostream_no_such_thing")
    assert "has the labels dialect, code, not colour" in str(errors(labels="colour=red"))
    assert "is not a label and its value" in str(errors(labels="slow"))


def test_an_advice_is_bounded() -> None:
    assert "advice" in errors(advice="x" * 4001)


@pytest.mark.parametrize(
    ("comparison", "clear_bound", "good"), [("above", 4, True), ("above", 6, False), ("below", 6, True), ("below", 4, False)]
)
def test_what_clears_an_alert_is_on_the_good_side(comparison: str, clear_bound: float, good: bool) -> None:
    assert ("clear_bound" not in errors(comparison=comparison, clear_bound=clear_bound)) is good


@pytest.mark.parametrize("url", ["http://127.0.0.1/hook", "http://user:password@example.org/", "ftp://example.org/"])
def test_a_webhook_is_at_a_public_address(url: str) -> None:
    assert "url" in AlertWebhookForm({"name": "hook", "url": url, "enabled": True}).errors


def test_every_page_is_shown(admin: Client) -> None:
    rule = AlertRule.objects.create(**RULE, **TIMES)
    webhook = AlertWebhook.objects.create(name="hook", url="https://example.org/hook")
    alert = Alert.objects.create(rule=rule, since=timezone.now(), value=7, worst=8)
    AlertDelivery.objects.create(webhook=webhook, url=webhook.url, next_at=timezone.now(), event={"type": "geostream.alert.test"})
    for path in (
        f"alertrule/{rule.pk}/change",
        "alertrule",
        "alertrule/add",
        f"alert/{alert.pk}/change",
        "alert",
        "alertwebhook",
        "alertdelivery",
    ):
        assert admin.get(f"/admin/streaming/{path}/").status_code == 200, path
    page = admin.get(f"/admin/streaming/alertwebhook/{webhook.pk}/change/").content.decode()
    assert webhook.secret in page


def test_who_may_only_look_does_not_see_the_secret() -> None:
    webhook = AlertWebhook.objects.create(name="hook", url="https://example.org/hook")
    user = User.objects.create_user("viewer", is_staff=True)
    user.user_permissions.add(Permission.objects.get(codename="view_alertwebhook"))
    client = Client()
    client.force_login(user)
    answer = client.get(f"/admin/streaming/alertwebhook/{webhook.pk}/change/")
    assert answer.status_code == 200 and webhook.secret not in answer.content.decode()


def act(client: Client, model: str, action: str, pk: Any) -> None:
    answer = client.post(f"/admin/streaming/{model}/", {"action": action, "_selected_action": [pk]})
    assert answer.status_code == 302


def test_rules_are_silenced_for_a_time(admin: Client) -> None:
    rule = AlertRule.objects.create(**RULE, **TIMES)
    act(admin, "alertrule", "silence_for_an_hour", rule.pk)
    rule.refresh_from_db()
    assert rule.silenced and rule.silenced_until is not None
    assert 3500 < (rule.silenced_until - timezone.now()).total_seconds() <= 3600
    act(admin, "alertrule", "end_silence", rule.pk)
    rule.refresh_from_db()
    assert not rule.silenced


def test_a_test_event_is_put_into_the_outbox(admin: Client) -> None:
    webhook = AlertWebhook.objects.create(name="hook", url="https://example.org/hook")
    act(admin, "alertwebhook", "send_test", webhook.pk)
    delivery = AlertDelivery.objects.get()
    assert (delivery.url, delivery.event["type"], delivery.state) == (webhook.url, "geostream.alert.test", "waiting")
    assert delivery.event["id"].endswith("-test")
