"""Alerts from a measure to those who are told: operators, events, webhooks."""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from hashlib import sha256
from importlib import import_module
from types import SimpleNamespace
from typing import Any

import pytest
from channels.db import database_sync_to_async
from django.apps import apps
from django.contrib.auth.models import User
from django.db import connection
from django.utils import timezone
from rest_framework_simplejwt.tokens import AccessToken

from streaming.core.leases import NODES, Leases
from streaming.core.redis import async_redis
from streaming.engine.metrics import MetricsService
from streaming.engine.outgoing.outbox import TO_ONE_DESTINATION
from streaming.engine.runtime import Runtime
from streaming.models import Alert, AlertDelivery, AlertRule, AlertWebhook
from streaming.operators.alerts import service as service_module
from streaming.operators.alerts.judge import Judge
from streaming.operators.alerts.service import Alerts
from streaming.topics.service import Topics
from tests.dialects.phoenix.peer import PhoenixPeer
from tests.geo_peer import GeoPeer
from tests.receiver import Receiver, receiving, response

from .rules import LAG


@pytest.fixture
def alerts(runtime: Runtime) -> Alerts:
    return runtime.service(Alerts)


@pytest.fixture
async def lagging(runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Sets how late the event loop is said to be. A rule fires at once above 10, and is resolved at once."""
    await AlertRule.objects.acreate(name="Late", measure=LAG, bound=10, for_seconds=0, clear_seconds=0, severity="critical", advice="Wait.")
    lag = runtime.service(MetricsService).lag

    def set_lag(seconds: float) -> None:
        monkeypatch.setattr(type(lag), "longest", seconds)

    set_lag(0)
    return set_lag


async def states() -> list[tuple[bool, bool]]:
    """Of all alerts, the oldest first: whether they fire, whether they were told."""
    return [(alert.resolved is None, alert.announced) async for alert in Alert.objects.order_by("since")]


async def test_an_alert_fires_and_is_resolved(alerts: Alerts, lagging: Callable[[float], None]) -> None:
    await alerts.look()
    assert await states() == []
    lagging(12)
    await alerts.look()
    await alerts.look()
    assert await states() == [(True, True)]
    lagging(1)
    await alerts.look()
    assert await states() == [(False, True)]
    alert = await Alert.objects.aget()
    assert (alert.value, alert.node) == (12, alerts.runtime.hub.node) and ":" in alert.where


async def test_a_new_leader_goes_on_with_what_fires(alerts: Alerts, lagging: Callable[[float], None]) -> None:
    lagging(12)
    await alerts.look()
    alerts._leads(began=True)
    await alerts.look()
    assert await states() == [(True, True)]
    lagging(1)
    await alerts.look()
    assert await states() == [(False, True)]


async def test_two_leaders_at_once_store_an_alert_once(alerts: Alerts, lagging: Callable[[float], None]) -> None:
    lagging(12)
    await alerts.look()
    alerts._judge = Judge()  # one that does not know it
    await alerts.look()
    assert await states() == [(True, True)]


async def test_nobody_is_told_of_a_silenced_rule_until_the_silence_ends(alerts: Alerts, lagging: Callable[[float], None]) -> None:
    await AlertRule.objects.aupdate(silenced_until=timezone.now() + timedelta(hours=1))
    lagging(12)
    await alerts.look()
    assert await states() == [(True, False)]
    await AlertRule.objects.aupdate(silenced_until=timezone.now())
    await alerts.look()
    assert await states() == [(True, True)]


async def test_a_rule_that_is_switched_off_is_resolved(alerts: Alerts, lagging: Callable[[float], None]) -> None:
    lagging(12)
    await alerts.look()
    await AlertRule.objects.aupdate(enabled=False)
    await alerts.look()
    assert await states() == [(False, True)]


async def test_old_alerts_are_forgotten(alerts: Alerts, lagging: Callable[[float], None], settings: Any) -> None:
    settings.GEOSTREAM_ALERT_HISTORY_DAYS = 7.0
    old = timezone.now() - timedelta(days=8)
    rule = await AlertRule.objects.aget()
    await Alert.objects.acreate(rule=rule, since=old, resolved=old, value=1, worst=1)
    await Alert.objects.acreate(rule=rule, since=old, resolved=timezone.now(), value=2, worst=2)
    await alerts.look()
    assert [alert.value async for alert in Alert.objects.all()] == [2]


async def test_operators_see_it_at_once_and_when_they_come(runtime: Runtime, alerts: Alerts, lagging: Callable[[float], None]) -> None:
    root = await User.objects.acreate_superuser("root", password="secret")
    headers = [(b"authorization", f"Bearer {AccessToken.for_user(root)}".encode())]
    first = await PhoenixPeer(headers=headers).connect()
    await first.join("admin")
    assert runtime.service(Topics).bus.connected
    lagging(12)
    await alerts.look()
    told = (await first.receive_event("alert"))[4]
    assert (told["rule"], told["state"], told["severity"], told["value"], told["advice"]) == ("Late", "firing", "critical", 12, "Wait.")
    second = await PhoenixPeer(headers=headers).connect()
    await second.join("admin")
    assert (await second.receive_event("alert"))[4] == told
    lagging(1)
    await alerts.look()
    assert (await first.receive_event("alert"))[4]["state"] == "resolved"
    await first.close()
    await second.close()


async def test_it_is_an_event_for_staff_only(
    alerts: Alerts, lagging: Callable[[float], None], geo: Callable[..., Any], settings: Any
) -> None:
    settings.GEOSTREAM_SERVER_EVENTS = True
    staff = await User.objects.acreate_user("staff", is_staff=True)
    peer: GeoPeer = geo(headers=[(b"authorization", f"Bearer {AccessToken.for_user(staff)}".encode())])
    subscription = {"type": "subscribe_events", "subscription_id": "s", "event_types": ["alert"]}
    assert (await peer.ask(**subscription))["success"]
    assert (await geo().ask(**subscription))["code"] == "unauthenticated"
    lagging(12)
    await alerts.look()
    event = await peer.next()
    assert event["event_type"] == "alert"
    assert (event["payload"]["source"], event["payload"]["state"]) == ("alert:Late", "firing")


# -- webhooks ------------------------------------------------------------------


@pytest.fixture
async def receiver(alerts: Alerts, settings: Any) -> AsyncIterator[Receiver]:
    """A server with a webhook, and the sender."""
    settings.GEOSTREAM_ALERT_PRIVATE_ADDRESSES = "127.0.0.1"
    async with receiving({"/hook": response(204)}) as server:
        await AlertWebhook.objects.acreate(name="hook", url=server.url("/hook"), secret="a secret")
        alerts._sender.start()
        yield server
        await alerts._sender.stop()


async def test_a_webhook_gets_signed_cloud_events(alerts: Alerts, lagging: Callable[[float], None], receiver: Receiver) -> None:
    lagging(12)
    await alerts.look()
    (request,) = await receiver.wait_for(1)
    assert request.headers["content-type"] == "application/cloudevents+json; charset=utf-8"
    event = request.json
    alert = await Alert.objects.aget()
    assert {name: event[name] for name in ("specversion", "id", "source", "type", "subject")} == {
        "specversion": "1.0",
        "id": f"{alert.id}-firing",
        "source": "urn:geostream:alerts",
        "type": "geostream.alert.firing",
        "subject": "Late",
    }
    assert event["data"]["message"].endswith("12, above 10")
    time, _, signature = request.headers["x-geostream-signature"].partition(",")
    signed = time.removeprefix("t=").encode() + b"." + request.body
    assert signature == "v1=" + hmac.new(b"a secret", signed, sha256).hexdigest()
    lagging(1)
    await alerts.look()
    assert (await receiver.wait_for(2))[1].json["type"] == "geostream.alert.resolved"


async def test_a_webhook_that_fails_is_tried_again(alerts: Alerts, lagging: Callable[[float], None], receiver: Receiver) -> None:
    receiver.answers["/hook"] = response(500)
    lagging(12)
    await alerts.look()
    await receiver.wait_for(1)
    async with asyncio.timeout(20):
        while not (delivery := await AlertDelivery.objects.aget()).last_error:
            await asyncio.sleep(0.02)
    assert (delivery.state, delivery.attempts, delivery.last_error) == ("waiting", 1, "the server there answers 500")
    assert delivery.next_at > delivery.created


async def test_a_webhook_whose_name_is_not_found_is_tried_again(
    alerts: Alerts, lagging: Callable[[float], None], receiver: Receiver
) -> None:
    await AlertWebhook.objects.aupdate(url="http://nothing.invalid/hook")  # as while the DNS is away
    lagging(12)
    await alerts.look()
    async with asyncio.timeout(20):
        while not (delivery := await AlertDelivery.objects.aget()).last_error:
            await asyncio.sleep(0.02)
    assert (delivery.state, delivery.attempts, delivery.last_error) == ("waiting", 1, "there is no host nothing.invalid")


async def test_a_webhook_is_not_sent_to_private_addresses(
    alerts: Alerts, lagging: Callable[[float], None], receiver: Receiver, settings: Any
) -> None:
    settings.GEOSTREAM_ALERT_PRIVATE_ADDRESSES = ""
    lagging(12)
    await alerts.look()
    async with asyncio.timeout(20):
        while (delivery := await AlertDelivery.objects.aget()).state == "waiting":
            await asyncio.sleep(0.02)
    assert (delivery.state, receiver.received) == ("given_up", [])


async def test_a_webhook_that_never_answers_holds_up_no_other(alerts: Alerts, receiver: Receiver) -> None:
    async with receiving({"/hook": b""}) as silent:
        webhooks = [
            await AlertWebhook.objects.acreate(name="silent", url=silent.url("/hook")),
            await AlertWebhook.objects.aget(name="hook"),
        ]
        for webhook in webhooks:
            for number in range(30):
                row = {"webhook": webhook, "url": webhook.url, "event": {"number": number}}
                await AlertDelivery.objects.acreate(**row, next_at=timezone.now() - timedelta(hours=2 if webhook.name == "silent" else 1))
        alerts._sender.ring()
        assert {request.json["number"] for request in await receiver.wait_for(30)} == {*range(30)}
        assert 0 < len(silent.received) <= TO_ONE_DESTINATION
        await alerts._sender.stop()


# -- one leader, and the rules that a site begins with ---------------------------


async def test_only_the_leader_judges(alerts: Alerts, lagging: Callable[[float], None]) -> None:
    lagging(12)
    await alerts._look_if_leading()
    assert await states() == []
    await alerts.leader.renew()
    await alerts._look_if_leading()
    assert await states() == [(True, True)]


async def test_without_the_database_it_is_judged_later(
    alerts: Alerts, lagging: Callable[[float], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    from django.db import OperationalError

    def fail() -> None:
        raise OperationalError("away")

    lagging(12)
    with monkeypatch.context() as broken:
        broken.setattr(service_module, "load", fail)
        await alerts.look()
    await alerts.look()
    assert await states() == [(True, True)]


async def test_a_process_that_fell_silent_raises_an_alert(runtime: Runtime, alerts: Alerts) -> None:
    await database_sync_to_async(first_rules)()
    await alerts.look()
    await async_redis().sadd(NODES, "killed")
    await runtime.leases.sweep()
    await alerts.look()
    alert = await Alert.objects.select_related("rule").aget()
    assert (alert.rule.name, alert.rule.severity, alert.node) == ("Process silent", "critical", "")


async def test_a_process_that_ended_properly_raises_none(runtime: Runtime, alerts: Alerts) -> None:
    await database_sync_to_async(first_rules)()
    await alerts.look()
    other = Leases("ended")
    await other.renew()
    await other.release()
    await async_redis().sadd(NODES, "ended")  # what it left was not swept yet
    await runtime.leases.sweep()
    await alerts.look()
    assert runtime.leases.lost == 0 and await states() == []


def first_rules() -> None:
    editor = SimpleNamespace(connection=connection)
    import_module("streaming.migrations.0013_first_alert_rules").add(apps, editor)


@pytest.mark.django_db
def test_a_site_begins_with_three_rules_about_measures_that_there_are() -> None:
    from django.forms.models import model_to_dict

    from streaming.operators.alerts.admin import AlertRuleForm

    AlertRule.objects.all().delete()
    first_rules()
    assert sorted(AlertRule.objects.values_list("name", flat=True)) == ["Event loop late", "Feed lagging", "Process silent"]
    for rule in AlertRule.objects.all():
        form = AlertRuleForm(model_to_dict(rule), instance=rule)
        assert form.is_valid(), form.errors
