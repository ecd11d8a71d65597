"""The logins that channel tokens rest on, in one process: a token ends with the login of the user it was given to, and with the permission.

Tokens that other programs make rest on nobody's login, nor do those that nobody in particular was given.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from channels.db import database_sync_to_async
from django.db import DatabaseError

from streaming.core.errors import StreamError
from streaming.engine.conf import conf
from streaming.engine.login_review import LoginReview
from streaming.engine.logins import Login, current_user
from streaming.engine.token_times import InvalidClaim

from .rooms import Member
from .tokens import Claims, check_rights

if TYPE_CHECKING:
    from .history_writer import Spawn

logger = logging.getLogger(__name__)

MOST_KNOWN = 10_000
ENDED = "the login that this token was given to has ended: log in again"


class TokenLogins:
    """Who of the members shows a token that rests on a login."""

    def __init__(self, review: LoginReview, spawn: Spawn) -> None:
        review.holders.append(self)
        self._spawn = spawn
        self._members: dict[Login, dict[Member, None]] = {}
        self._known: dict[Claims, tuple[float, str | None]] = {}
        """What is wrong with a token that was shown a moment ago, and when that was found out."""

    async def check(self, claims: Claims) -> None:
        """`InvalidClaim` if the login has ended, or its user may not have such a token any more. Believed for a few seconds."""
        if claims.login is None:
            return
        known = self._known.get(claims)
        if known is None or time.monotonic() - known[0] >= conf.AUTH_CACHE_SECONDS:
            if len(self._known) >= MOST_KNOWN:
                self._known.clear()
            known = self._known[claims] = time.monotonic(), await database_sync_to_async(_look_up)(claims)
        if known[1] is not None:
            raise InvalidClaim(known[1])

    def add(self, member: Member) -> None:
        """The member has joined with its token, or has shown another one."""
        self.remove(member)
        login = _login_of(member)
        if login is not None:
            self._members.setdefault(login, {})[member] = None
            member.login = login

    def remove(self, member: Member) -> None:
        """The member is no more, or shows another token."""
        members = self._members.get(member.login) if member.login is not None else None
        if members is not None:
            members.pop(member, None)
            if not members:
                del self._members[member.login]  # type: ignore[arg-type]  # not None here
        member.login = None

    # -- for the review of logins -------------------------------------------

    def logins(self) -> Iterable[Login]:
        """Those of all members."""
        return list(self._members)

    def logins_changed(self, changes: Mapping[Login, Any]) -> None:
        """Members whose token rests on a login that has ended leave; for the others it is found out whether they may have it."""
        for login, user in changes.items():
            members = list(self._members.get(login, ()))
            if members:
                self._spawn(self._review(members, user))

    async def _review(self, members: list[Member], user: Any) -> None:
        for member in members:
            claims = None if member.channel is None else member.channel.claims
            if claims is None or claims.login is None:
                continue
            try:
                wrong = ENDED if user is None else await database_sync_to_async(_refusal)(user, claims)
            except DatabaseError as error:
                logger.warning("whether %s may be on %s could not be found out: %s", claims.id, member.topic, error)
                continue
            if wrong is not None:
                await self._end(member, wrong)

    @staticmethod
    async def _end(member: Member, wrong: str) -> None:
        assert member.channel is not None
        session: Any = member.channel.connection.session
        await session.end(member, "phx_error", {"reason": "unauthorized", "detail": wrong})


def _login_of(member: Member) -> Login | None:
    claims = None if member.channel is None else member.channel.claims
    return None if claims is None else claims.login


def _look_up(claims: Claims) -> str | None:
    assert claims.login is not None
    user = current_user(claims.login)
    return ENDED if user is None else _refusal(user, claims)


def _refusal(user: Any, claims: Claims) -> str | None:
    """Why the user may not have such a token."""
    try:
        check_rights(user, claims)
    except StreamError as error:
        return error.message
    return None
