"""The token that the built-in worker issues itself: it has the project's key and database anyway.

It follows from the key, so that it is the same at each start and on each machine: what the worker offers stays its own, and no old tokens
are left behind. An operator can revoke it like any other.
"""

from __future__ import annotations

import base64
import hmac
from collections.abc import Sequence
from hashlib import sha256

from django.conf import settings

from processes.models import WorkerToken
from processes.worker import WorkerRefused
from processes.workers.tokens import PREFIX, digest

NAME = "built-in worker"


def own_token(processes: Sequence[str]) -> str:
    """The token, which may offer these processes. `WorkerRefused` if it was revoked."""
    secret = hmac.new(str(settings.SECRET_KEY).encode(), b"processes.builtin.own_token", sha256).digest()
    text = PREFIX + base64.urlsafe_b64encode(secret).rstrip(b"=").decode()
    row, _ = WorkerToken.objects.get_or_create(digest=digest(text), defaults={"name": NAME, "hint": text[:8], "processes": list(processes)})
    if row.revoked is not None:
        raise WorkerRefused(f"its own token, {row.name!r}, was revoked; give it another one with --token, or restore that in the admin")
    if missing := [each for each in processes if each not in row.processes and "*" not in row.processes]:
        row.processes = [*row.processes, *missing]
        row.save(update_fields=["processes"])
    return text
