"""The audience of an event: the users who may read it, by permissions. It is stored with the event, and clients never see it.

An event about a layer or a tileset is for those who may read that, as it was when the event happened.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

AUTHENTICATED, STAFF = "is_authenticated", "is_staff"
"""What settings take for permissions although Django has none of these names."""


@dataclass(frozen=True, slots=True)
class Rights:
    """What a user has of the permissions that events need; `everything` of a superuser."""

    granted: frozenset[str] = frozenset()
    everything: bool = False
    user: str = ""
    """The id of the user."""

    def include(self, permission: str) -> bool:
        """Whether the user has a permission."""
        return permission in self.granted or (self.everything and permission not in (AUTHENTICATED, STAFF))

    def include_all(self, permissions: Collection[str]) -> bool:
        """Whether the user has all of them."""
        return all(map(self.include, permissions))


NO_RIGHTS = Rights()


class Audience(msgspec.Struct, frozen=True, omit_defaults=True):
    """Users who have all permissions of `needs`; without those who have all of `lacks`, if that names any.

    And the `user` of this id, if it names one, whatever permissions that has.
    """

    needs: tuple[str, ...] = ()
    lacks: tuple[str, ...] = ()
    user: str = ""


EVERYBODY = Audience()


def is_in(audience: Mapping[str, Any], rights: Rights) -> bool:
    """Whether a user with these rights is in an audience, as it is stored."""
    if (user := audience.get("user")) and user == rights.user:
        return True
    lacks = audience.get("lacks")
    return rights.include_all(audience.get("needs", ())) and not (lacks and rights.include_all(lacks))


def split_audience(before: Collection[str] | None, now: Collection[str] | None) -> Iterator[tuple[str, Audience]]:
    """Who sees what of a change of something that took the permissions `before`, and takes those of `now`, to be read.

    None: it was not there, or is not there any more. To those who could read it before and cannot now, it is `removed`; to
    those who could not and can, it is `created`; to those who could and can, it has `changed`.
    """
    if before is not None and now is not None:
        yield "changed", Audience(_names(*before, *now))
    if before is not None and (now is None or not set(now) <= set(before)):
        yield "removed", Audience(_names(*before), _names(*now or ()))
    if now is not None and (before is None or not set(before) <= set(now)):
        yield "created", Audience(_names(*now), _names(*before or ()))


def _names(*permissions: str) -> tuple[str, ...]:
    return tuple(sorted(set(permissions)))
