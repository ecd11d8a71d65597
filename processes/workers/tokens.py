"""The tokens that workers connect with: made, recognised, revoked. Of each only the digest is stored."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any

from django.utils import timezone

from processes.models import WorkerToken
from streaming.engine.access import announce

PREFIX = "gsw_"
"""How tokens begin, so that one in a log or a repository is recognised."""
TOKENS_CHANGED = "processes.tokens"
"""The control message after which each process looks at the tokens of its workers."""


@dataclass(frozen=True, slots=True)
class TokenRights:
    """What a token allows."""

    pk: int
    name: str
    patterns: tuple[str, ...]
    max_workers: int
    max_concurrency: int
    expires: datetime | None

    def allows(self, process: str) -> bool:
        """Whether its workers may offer a process."""
        return any(process == each or (each.endswith("*") and process.startswith(each[:-1])) for each in self.patterns)


def create_token(name: str, processes: Sequence[str] = ("*",), **fields: Any) -> tuple[WorkerToken, str]:
    """A new token. The text, which is returned beside its row, cannot be found out later."""
    text = PREFIX + secrets.token_urlsafe(32)
    row = WorkerToken.objects.create(name=name, digest=digest(text), hint=text[:8], processes=list(processes), **fields)
    return row, text


def digest(text: str) -> str:
    """What a token is recognised by. It has 256 random bits, so nothing slower than a hash is needed."""
    return sha256(text.encode()).hexdigest()


def find_token(text: str) -> TokenRights | None:
    """What a token allows, if it is one and neither expired nor revoked."""
    row = WorkerToken.objects.filter(digest=digest(text), revoked=None).first()
    if row is None or (row.expires is not None and row.expires <= timezone.now()):
        return None
    patterns = tuple(each for each in row.processes if isinstance(each, str))
    return TokenRights(row.pk, row.name, patterns, row.max_workers, row.max_concurrency, row.expires)


def invalid_tokens(tokens: Sequence[int]) -> set[int]:
    """Those of these tokens that are revoked, have expired, or are gone."""
    rows = dict(WorkerToken.objects.filter(pk__in=tokens, revoked=None).values_list("pk", "expires"))
    now = timezone.now()
    return {pk for pk in tokens if pk not in rows or ((expires := rows[pk]) is not None and expires <= now)}


def revoke_token(token: WorkerToken) -> None:
    """Revoke it, and have every process close the connections of its workers."""
    if token.revoked is None:
        token.revoked = timezone.now()
        token.save(update_fields=["revoked"])
    announce(TOKENS_CHANGED)


def bearer(headers: Sequence[tuple[bytes, bytes]]) -> str | None:
    """The token in the `Authorization` header of a request."""
    value = next((value for name, value in headers if name == b"authorization"), b"").decode("latin-1")
    scheme, _, token = value.partition(" ")
    return token.strip() if scheme.lower() == "bearer" and token.strip() else None
