"""The times in a JSON web token: `exp`, `iat` and `nbf`, in seconds since 1970, perhaps with a fraction (RFC 7519).

Whoever has the signing key makes tokens, in any language, and may get a unit wrong or forget a claim: a refusal names the claim.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from math import isfinite
from typing import Any

import jwt
from rest_framework_simplejwt.exceptions import ExpiredTokenError, TokenError

from streaming.core.errors import StreamError

DAY = 24 * 3600


class InvalidClaim(StreamError):
    """A token that is signed with the right key, but has a claim that is wrong. The message names it."""

    def __init__(self, message: str) -> None:
        super().__init__("token_invalid", message)


def check_times(claims: Mapping[str, Any], most_seconds: float) -> None:
    """`InvalidClaim` unless the times are numbers and the token ends within so many seconds. It may have ended already."""
    for name in ("exp", "iat", "nbf"):
        if (name == "exp" or name in claims) and not _is_number(claims.get(name)):
            raise InvalidClaim(f"the claim {name} must be a number of seconds since 1970")
    if claims["exp"] > time.time() + most_seconds:
        raise InvalidClaim(f"the claim exp is more than {most_seconds / DAY:.0f} days ahead; it is in seconds, not milliseconds")


def refusal(error: TokenError) -> StreamError:
    """Why a token is refused: `token_expired`, `InvalidClaim`, or `token_invalid` for any that was not made with our key."""
    if isinstance(error, ExpiredTokenError) or "expired" in str(error).lower():
        return StreamError("token_expired", str(error))
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, jwt.ImmatureSignatureError):
            return InvalidClaim(f"{cause}: its time is after that of this server")
        if isinstance(cause, jwt.InvalidTokenError) and " claim (" in str(cause):
            return InvalidClaim(str(cause))
        cause = cause.__cause__
    return StreamError("token_invalid", str(error))


def _is_number(value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return isinstance(value, int) or isfinite(value)
