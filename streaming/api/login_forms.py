"""The forms of the login pages, the admin's too: failed attempts count as those at `/api/token/`, with which they share their limits."""

from __future__ import annotations

import math
from typing import Any

from django.contrib.admin.forms import AdminAuthenticationForm
from django.contrib.auth.forms import AuthenticationForm
from django.core.exceptions import ValidationError
from django.utils.translation import ngettext
from rest_framework.exceptions import Throttled

from .throttling import give_back, login_limits, take


class _LimitedAttempts(AuthenticationForm):
    def clean(self) -> dict[str, Any]:
        """Log in, unless it was tried too often."""
        address = "" if self.request is None else self.request.META.get("REMOTE_ADDR", "")
        limits = login_limits(self.cleaned_data.get("username"), address)
        try:
            take(limits)
        except Throttled as refused:
            seconds = math.ceil(refused.wait or 1)  # type: ignore[attr-defined]  # not in the stubs
            text = ngettext(
                "There were too many attempts: try again in %(seconds)s second.",
                "There were too many attempts: try again in %(seconds)s seconds.",
                seconds,
            )
            raise ValidationError(text, code="rate_limited", params={"seconds": seconds}) from None
        cleaned = super().clean()
        give_back(limits)  # only failures count
        return cleaned


class LoginForm(_LimitedAttempts):
    """For any user."""


class AdminLoginForm(_LimitedAttempts, AdminAuthenticationForm):
    """For staff."""
