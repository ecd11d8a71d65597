"""`manage.py token`."""

from __future__ import annotations

import io
import time
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command

from streaming.core.errors import StreamError
from streaming.engine.auth import verify_token
from streaming.topics import tokens

pytestmark = pytest.mark.django_db(transaction=True)


def token(*arguments: str) -> str:
    out = io.StringIO()
    call_command("token", *arguments, stdout=out, stderr=out, no_color=True)
    return out.getvalue().removesuffix("\n")


@pytest.fixture(autouse=True)
def alice() -> Any:
    return User.objects.create_user("alice")


def test_an_access_token_is_printed(alice: Any) -> None:
    claims = verify_token(token("alice"))
    assert str(claims["user_id"]) == str(alice.pk)
    assert claims["exp"] == pytest.approx(time.time() + 1800, abs=60)


def test_it_lives_as_long_as_is_asked_for() -> None:
    assert verify_token(token("alice", "--lifetime", "3600"))["exp"] == pytest.approx(time.time() + 3600, abs=60)


def test_a_limited_token_opens_files_only() -> None:
    limited = token("alice", "--files", "maps=list read", "--files", "*=list")
    assert verify_token(limited, "files")["limits"] == {"files": {"maps": "list read", "*": "list"}}
    with pytest.raises(StreamError, match="limited"):
        verify_token(limited)


def test_a_channel_token_is_printed() -> None:
    claims = tokens.verify(token("alice", "--topic", "room:*", "--lifetime", "60"))
    assert (claims.id, claims.channel) == ("alice", "room:*")
    assert claims.expires == pytest.approx(time.time() + 60, abs=30)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("bob",), "There is no user 'bob'"),
        (("alice", "--files", "maps"), "--files is a directory with rights"),
        (("alice", "--files", "maps=look"), "rights are list, read, write, delete"),
        (("alice", "--files", "../maps=read"), "--files is a directory with rights"),
        (("alice", "--lifetime", "0"), "not a number above zero"),
        (("alice", "--lifetime", "1e18"), "too long"),
        (("alice", "--topic", "\x00"), "."),
    ],
)
def test_what_is_wrong_is_one_line(arguments: tuple[str, ...], message: str) -> None:
    with pytest.raises(CommandError, match=message):
        token(*arguments)


def test_a_user_who_is_not_active_has_none(alice: Any) -> None:
    alice.is_active = False
    alice.save()
    with pytest.raises(CommandError, match="not active"):
        token("alice")
