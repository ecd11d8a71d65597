"""The message with which a worker is given a job."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.utils import timezone

from processes.jobs.queue import Claim

from .offers import OfferedProcess


def execute_message(claim: Claim, offer: OfferedProcess) -> dict[str, Any]:
    """The parameters of `job.execute`."""
    deadline = None if offer.run_seconds is None else (timezone.now() + timedelta(seconds=offer.run_seconds)).isoformat()
    context: dict[str, Any] = {"locale": "en"}
    if claim.owner is not None:
        context["subject"] = str(claim.owner)
    return {
        "jobID": str(claim.job),
        "attempt": claim.attempt,
        "leaseID": str(claim.lease),
        "sent": timezone.now().isoformat(),
        "expires": claim.expires.isoformat(),
        "processID": claim.identifier,
        "version": claim.version,
        **({"deadline": deadline} if deadline else {}),
        "inputs": claim.inputs,
        "outputs": claim.outputs,
        "context": context,
        **({"checkpoint": claim.checkpoint} if claim.checkpoint is not None else {}),
    }
