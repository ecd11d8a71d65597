"""Channel tokens: JSON web tokens that allow a client to join a topic, and the rules for who is given one.

They are Tangram's: HS256, with the claims `id`, `channel` and `exp`. Any program with the same signing key may make them. They are
never access tokens, nor are access tokens channel tokens. No token is ever in an error or in the log.
"""

from __future__ import annotations

import logging
import re
import secrets
import string
import time
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from multiprocessing import parent_process
from typing import Any, NamedTuple

from channels.db import database_sync_to_async
from rest_framework_simplejwt import settings as simplejwt
from rest_framework_simplejwt.backends import TokenBackend
from rest_framework_simplejwt.exceptions import ExpiredTokenError, TokenError
from rest_framework_simplejwt.tokens import Token

from streaming.core.errors import StreamError
from streaming.engine.conf import conf
from streaming.engine.logins import Login, is_user_id, login_of, sealed, unsealed
from streaming.engine.token_times import InvalidClaim, check_times, refusal

from .names import check_pattern, is_pattern, matches, matches_any

logger = logging.getLogger(__name__)

ADMIN = "admin"
"""The topic that is opened only by its own name."""
JOIN, ISSUE = "streaming.join_topics", "streaming.issue_tokens"

MAX_TOKEN_BYTES = 8 * 1024
MAX_ID_BYTES = 255
CLOCK_SKEW_SECONDS = 60
"""How far the clock of another issuer may be ahead (`iat`, `nbf`). `exp` is exact."""

NO_ID = f"an id has up to {MAX_ID_BYTES} bytes and no control characters"

_NOT_IN_IDS = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_ALPHANUMERIC = string.ascii_letters + string.digits


@dataclass(frozen=True, slots=True)
class Claims:
    """The claims of a valid channel token. `expires` is in seconds since 1970; `login` is whose it is, if that is somebody's."""

    id: str
    channel: str
    expires: float
    login: Login | None = None

    def opens(self, topic: str) -> bool:
        """Whether the holder may join a topic."""
        if topic == ADMIN:
            return self.channel == ADMIN
        return not conf.CHECK_CHANNEL_CLAIM or matches(self.channel, topic)


class Issued(NamedTuple):
    """A token as it is given out."""

    id: str
    channel: str
    token: str


class ChannelToken(Token):
    """The JSON web token. Unlike others of simplejwt it carries neither a type nor a number: Tangram's issuers know of none."""

    token_type = "channel"
    lifetime = timedelta(0)
    login: Login | None = None

    @property
    def token_backend(self) -> TokenBackend:
        """HS256 with the project's key, whatever else its access tokens have."""
        return _backend(simplejwt.api_settings.SIGNING_KEY)

    def verify(self) -> None:
        """`TokenError` or `InvalidClaim` unless the claims are those of a channel token; its signature has been checked."""
        for name in ("id", "channel"):
            if not isinstance(self.payload.get(name), str):
                raise InvalidClaim(f"the claim {name} of a channel token must be a text")
        if not _is_id(self.payload["id"]):
            raise InvalidClaim(f"the claim id: {NO_ID}")
        if "aud" in self.payload or self.payload.get(simplejwt.api_settings.TOKEN_TYPE_CLAIM, self.token_type) != self.token_type:
            raise TokenError("the token is for something else than channels")
        self.login = _login(self.payload)
        check_times(self.payload, _longest_life())
        if self.payload["exp"] <= time.time():
            raise ExpiredTokenError("the token has expired")


def mint(id: str, channel: str, lifetime: float | None = None, login: Login | None = None) -> str:
    """A token that opens a channel, or the channels of a pattern, for `lifetime` seconds (`GEOSTREAM_CHANNEL_TOKEN_SECONDS`).

    With a login it also ends with that, and when the user may not have it any more.

    `StreamError("bad_request")` if the id or the channel cannot be. Nobody is asked whether this is allowed: that is `issue`.
    """
    _check(id, channel)
    seconds, most = conf.CHANNEL_TOKEN_SECONDS if lifetime is None else lifetime, _longest_life()
    if seconds > most:
        raise StreamError("bad_request", f"a channel token lives for {most:.0f} seconds at most")
    token = ChannelToken()
    token.payload = {"id": id, "channel": channel, **({} if login is None else _login_claims(login))}
    token.set_exp(lifetime=timedelta(seconds=seconds))
    return str(token)


def verify(token: str) -> Claims:
    """The claims of a token. `StreamError("token_expired")`, or `token_invalid` if it was not made with our key or is no channel token.

    `InvalidClaim` (a `token_invalid`) names the claim that is wrong.
    """
    if len(token) > MAX_TOKEN_BYTES or not token.isascii():
        raise StreamError("token_invalid", "the token is too long or not a JSON web token")
    try:
        claims = ChannelToken(token)  # type: ignore[arg-type]  # declared to take tokens; it takes their text
    except ExpiredTokenError:
        raise StreamError("token_expired", "the token has expired") from None
    except TokenError as error:
        raise refusal(error) from None
    return Claims(claims["id"], claims["channel"], claims["exp"], claims.login)


async def issue(user: Any, channel: str, id: str | None = None, session_key: str | None = None) -> Issued:
    """A token for a channel, if the user (perhaps nobody) may have one. It ends with the user's login, and with a session if there is one.

    Without `id` it is the user's name, for nobody eight random characters. `StreamError` if something is missing: `unauthenticated`,
    `forbidden`, or `bad_request` for what cannot be.
    """
    name = user.get_username() if user.is_authenticated else "".join(secrets.choice(_ALPHANUMERIC) for _ in range(8))
    wanted = name if id is None else id
    _check(wanted, channel)
    if not _open_to_anybody(channel):
        if not user.is_authenticated:
            raise StreamError("unauthenticated", "this channel is not public: log in, or send 'Authorization: Bearer <token>'")
        await database_sync_to_async(_demand)(user, channel, own=wanted == name)
    login = login_of(user, session_key) if user.is_authenticated else None
    return Issued(wanted, channel, mint(wanted, channel, login=login))


def check_rights(user: Any, claims: Claims) -> None:
    """`StreamError("forbidden")` if the user may not have such a token (any more). For threads."""
    if not _open_to_anybody(claims.channel):
        _demand(user, claims.channel, own=claims.id == user.get_username())


def announce_open_tokens() -> None:
    """Log a warning if anybody is given tokens, when a server starts; not in its workers, so that it is logged once."""
    if conf.OPEN_TOKENS and parent_process() is None:
        logger.warning("GEOSTREAM_OPEN_TOKENS is on: POST /token gives anybody a token for any topic but %r, under any name", ADMIN)


def _login_claims(login: Login) -> dict[str, str]:
    claims = {"user": login.user_id}
    if login.password is not None:
        claims["password"] = login.password
    if login.session_key is not None:
        claims["session"] = sealed(login.session_key)
    return claims


def _login(claims: dict[str, Any]) -> Login | None:
    """The login that a token rests on; None if it is of another program. `InvalidClaim`."""
    user_id, password, session = (claims.get(name) for name in ("user", "password", "session"))
    if user_id is None:
        return None
    if not isinstance(user_id, str) or not is_user_id(user_id):
        raise InvalidClaim("the claim user must be the id of a user, as a text")
    if not isinstance(password, str | None):
        raise InvalidClaim("the claim password must be the digest of one")
    session_key = unsealed(session) if isinstance(session, str) else None
    if session is not None and session_key is None:
        raise InvalidClaim("the claim session is of another site")
    return Login(user_id, password, session_key)


def _longest_life() -> float:
    return float(max(conf.TOKEN_MOST_SECONDS, conf.CHANNEL_TOKEN_SECONDS))


def _open_to_anybody(channel: str) -> bool:
    if channel == ADMIN or is_pattern(channel):
        return False
    return bool(conf.OPEN_TOKENS) or matches_any(conf.PUBLIC_TOPICS, channel)


def _demand(user: Any, channel: str, own: bool) -> None:
    if channel == ADMIN and not user.is_staff:
        raise StreamError("forbidden", f"the channel {ADMIN} is for staff")
    if user.has_perm(ISSUE):
        return
    if is_pattern(channel):
        raise StreamError("forbidden", f"a token for many channels needs the permission {ISSUE}")
    if not own:
        raise StreamError("forbidden", f"another id than your username, {user.get_username()!r}, needs the permission {ISSUE}")
    if channel != ADMIN and not user.has_perm(JOIN):
        raise StreamError("forbidden", f"this channel is not public; it needs the permission {JOIN}")


def _check(id: str, channel: str) -> None:
    check_pattern(channel)
    if not _is_id(id):
        raise StreamError("bad_request", NO_ID)


def _is_id(text: str) -> bool:
    return len(text.encode(errors="replace")) <= MAX_ID_BYTES and not _NOT_IN_IDS.search(text)


@lru_cache(maxsize=4)
def _backend(key: str) -> TokenBackend:
    return TokenBackend("HS256", key, leeway=CLOCK_SKEW_SECONDS)
