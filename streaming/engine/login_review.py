"""Ends what rests on logins that have ended, in this process: every few seconds, and soon after a notice that something has changed.

It asks the database for all logins at once, and only while there are some. Who may do less, or more, than before finds that out by what
the database says of the user, the groups and the session: no message ever waits for it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from channels.db import database_sync_to_async
from django.conf import settings
from django.db import DatabaseError

from streaming.core.errors import StreamError

from .access import SESSION_ENDED, USERS_CHANGED
from .conf import conf
from .logins import Login, digest, live_sessions, user_states
from .service import Service

if TYPE_CHECKING:
    from .connections import ConnectionRegistry
    from .runtime import Runtime

logger = logging.getLogger(__name__)

LEAST_SECONDS = 1.0
"""Between two reviews, however much changes."""
FURTHER_SECONDS = 15.0
"""How often users are taken for changed where permissions come from elsewhere than Django's tables."""
DJANGO_BACKENDS = {f"django.contrib.auth.backends.{name}" for name in ("ModelBackend", "AllowAllUsersModelBackend")}

Changes = Mapping[Login, Any]
"""Logins that have changed: with the user as the database has it now, or None if the login has ended."""


class LoginHolder(Protocol):
    """What keeps logins, such as the open connections."""

    def logins(self) -> Iterable[Login]:
        """Those that it rests on now."""

    def logins_changed(self, changes: Changes) -> None:
        """Some of them, or others, have changed."""


class LoginReview(Service):
    """The review of one process. What else rests on logins than connections is added as a holder."""

    def __init__(self, runtime: Runtime) -> None:
        super().__init__(runtime)
        self.holders: list[LoginHolder] = [ConnectionLogins(runtime.connections)]
        self._rights: dict[str, tuple[Any, ...]] = {}  # of the users that were looked at last
        self._reviewing = asyncio.Lock()
        self._due = False
        self._elsewhere_at = 0.0

    async def start(self) -> None:
        """Review again and again, and after notices."""
        self.runtime.hub.every(max(conf.AUTH_CACHE_SECONDS, LEAST_SECONDS), self.review)
        self.runtime.hub.on(USERS_CHANGED, lambda message: self._review_soon())
        self.runtime.hub.on(SESSION_ENDED, lambda message: self._session_ended(message["session"]))

    async def review(self) -> None:
        """Compare all logins with the database."""
        async with self._reviewing:
            self._due = False
            logins = {login for holder in self.holders for login in holder.logins()}
            if logins:
                self._notify(dict(await self._changes(logins)))
            else:
                self._rights.clear()

    async def _changes(self, logins: set[Login]) -> Iterator[tuple[Login, Any]]:
        sessions = {login.session_key for login in logins if login.session_key is not None}
        states = await _in_thread(user_states)({login.user_id for login in logins})
        live = await _in_thread(live_sessions)(sessions) if sessions else set()
        before, self._rights = self._rights, {user_id: state.rights for user_id, state in states.items()}
        further = self._look_elsewhere()
        changes = list[tuple[Login, Any]]()
        for login in logins:
            state = states.get(login.user_id)
            if (
                state is None
                or login.password not in (None, state.password)
                or not (login.session_key is None or login.session_key in live)
            ):
                changes.append((login, None))
            elif further or before.get(login.user_id) != state.rights:
                changes.append((login, state.user))
        return iter(changes)

    def _look_elsewhere(self) -> bool:
        """Whether permissions may have changed of which Django's tables know nothing."""
        now = asyncio.get_running_loop().time()
        if DJANGO_BACKENDS.issuperset(settings.AUTHENTICATION_BACKENDS) or now - self._elsewhere_at < FURTHER_SECONDS:
            return False
        self._elsewhere_at = now
        return True

    def _notify(self, changes: Changes) -> None:
        if changes:
            for holder in self.holders:
                holder.logins_changed(changes)

    def _session_ended(self, session: str) -> None:
        """A session was ended by its user. It may still be in the database for a moment."""
        logins = {login for holder in self.holders for login in holder.logins()}
        self._notify({login: None for login in logins if login.session_key is not None and digest(login.session_key) == session})

    def _review_soon(self) -> None:
        if not self._due:
            self._due = True
            asyncio.get_running_loop().call_later(LEAST_SECONDS / 2, lambda: self.runtime.spawn(self._review_after_notice()))

    async def _review_after_notice(self) -> None:
        try:
            await self.review()
        except DatabaseError as error:
            logger.warning("logins could not be reviewed and will be: %s", error)


class ConnectionLogins:
    """The logins of the open connections of a process."""

    def __init__(self, connections: ConnectionRegistry) -> None:
        self._connections = connections

    def logins(self) -> Iterator[Login]:
        """One for each connection of somebody."""
        for connection in self._connections.open.values():
            if connection.principal.login is not None:
                yield connection.principal.login

    def logins_changed(self, changes: Changes) -> None:
        """End the connections whose login has ended; the others find out anew what they may read."""
        for connection in list(self._connections.open.values()):
            login = connection.principal.login
            if login is None or login not in changes:
                continue
            user = changes[login]
            if user is None:
                connection.expire(StreamError("token_invalid", "the login has ended: log in again"))
            else:
                connection.renew_user(user)


# In threads of their own: where the database is locked they wait for long, and must not keep those waiting who ask it something.
_in_thread = partial(database_sync_to_async, thread_sensitive=False)
