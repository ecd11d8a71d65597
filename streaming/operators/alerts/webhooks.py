"""What webhooks are sent: signed CloudEvents 1.0 in structured JSON."""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping
from functools import partial
from typing import Any

import msgspec
from channels.db import database_sync_to_async
from django.utils import timezone

from streaming.engine.conf import conf
from streaming.engine.outgoing import AddressRules
from streaming.engine.outgoing.sender import Overtaken, Prepared, SendLimits
from streaming.engine.outgoing.signature import SIGNATURE, signature
from streaming.models import AlertDelivery, AlertWebhook

MEDIA_TYPE = "application/cloudevents+json; charset=utf-8"
SOURCE = "urn:geostream:alerts"


def cloud_event(kind: str, data: Mapping[str, Any]) -> dict[str, Any]:
    """The event `geostream.<kind>` about an alert. The same alert and kind has the same id, however often it is sent."""
    return {
        "specversion": "1.0",
        "id": f"{data.get('id') or uuid.uuid4()}-{kind.rpartition('.')[2]}",
        "source": SOURCE,
        "type": f"geostream.{kind}",
        "subject": data.get("rule", ""),
        "time": timezone.now().isoformat(),
        "datacontenttype": "application/json",
        "data": dict(data),
    }


async def prepare(delivery: AlertDelivery) -> Prepared:
    """The request. Signed when it is sent, as the signature has the time."""
    webhook = await database_sync_to_async(partial(_enabled, delivery.webhook_id))()
    if webhook is None:
        raise Overtaken
    body = msgspec.json.encode(delivery.event)
    return Prepared(body, {"Content-Type": MEDIA_TYPE, SIGNATURE: signature(webhook.secret, int(time.time()), body)})


def rules() -> AddressRules:
    """Where webhooks may be."""
    return AddressRules.allowing(conf.ALERT_PRIVATE_ADDRESSES)


def limits() -> SendLimits:
    """As the settings have it."""
    return SendLimits(rules(), conf.ALERT_WEBHOOK_SECONDS, conf.ALERT_WEBHOOK_ATTEMPTS)


def _enabled(pk: int) -> AlertWebhook | None:
    return AlertWebhook.objects.filter(pk=pk, enabled=True).first()
