"""What operators do about bans: impose and lift one. Nobody bans themselves, nor the address that they come from."""

from __future__ import annotations

import time
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any, Literal

import msgspec
from django.contrib.auth import get_user_model

from streaming.core.errors import StreamError
from streaming.engine import ban_store
from streaming.engine.addresses import network
from streaming.engine.bans import Ban

from .commands import record

LONGEST_SECONDS = 366 * 24 * 3600
MAX_REASON = 200
WHOLE = {4: "32", 6: "64"}
"""By version, the length of the networks that bans count: others would be banned in part only."""


@dataclass(frozen=True, slots=True)
class Operator:
    """Who acts, and from where."""

    user: Any
    address: str


class Impose(msgspec.Struct, forbid_unknown_fields=True):
    """Ban a user by name, or an address (of IPv6 its network of 64 bits, and no larger one), for so many seconds."""

    kind: Literal["user", "address"]
    value: str
    seconds: int
    reason: str = ""

    def act(self, operator: Operator) -> None:
        """`StreamError`: bad_request for nobody, oneself, no address or no time; redis_unavailable. For threads."""
        if not 0 < self.seconds <= LONGEST_SECONDS:
            raise StreamError("bad_request", f"a ban takes 1 to {LONGEST_SECONDS:,} seconds")
        if len(self.reason) > MAX_REASON or "\0" in self.reason:
            raise StreamError("bad_request", f"a reason has {MAX_REASON} characters at most")
        if "\0" in self.value:
            raise StreamError("bad_request", "a text holds the character NUL, which databases cannot store")
        value, label = self._user(operator) if self.kind == "user" else self._address(operator)
        now = time.time()
        ban = Ban(self.kind, value, label, now + self.seconds, now, operator.user.get_username(), self.reason)
        record(operator.user.pk, f"Banned the {self.kind} {label} for {self.seconds:,} seconds: {self.reason or 'no reason given'}")
        ban_store.impose(ban)

    def _user(self, operator: Operator) -> tuple[str, str]:
        users = get_user_model()
        user = users._default_manager.filter(**{users.USERNAME_FIELD: self.value}).first()
        if user is None:
            raise StreamError("bad_request", f"there is no user {self.value[:100]!r}")
        if user.pk == operator.user.pk:
            raise StreamError("bad_request", "you cannot ban yourself")
        return str(user.pk), user.get_username()

    def _address(self, operator: Operator) -> tuple[str, str]:
        address, slash, bits = self.value.strip().partition("/")
        try:
            version = ip_address(address.partition("%")[0]).version
        except ValueError:
            raise StreamError("bad_request", f"{self.value[:100]!r} is no network address") from None
        if slash and bits != WHOLE[version]:
            raise StreamError("bad_request", "single addresses are banned, and IPv6 networks of 64 bits (/64), but no other networks")
        value = network(address)
        if value == network(operator.address):
            raise StreamError("bad_request", "you cannot ban the address that you come from yourself")
        return value, value


class Lift(msgspec.Struct, forbid_unknown_fields=True):
    """End a ban, by its name."""

    name: str

    def act(self, operator: Operator) -> None:
        """`StreamError`: bad_request if there is none, redis_unavailable. For threads."""
        found = next((ban for ban in ban_store.bans() if ban.name == self.name), None)
        if found is None:
            raise StreamError("bad_request", "there is no such ban any more")
        record(operator.user.pk, f"Lifted the ban of the {found.kind} {found.label}")
        ban_store.lift(self.name)
