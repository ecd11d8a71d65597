"""Interning: equal variants share one instance of a class."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any, ClassVar, Generic, Self, TypeVar
from weakref import WeakValueDictionary

V = TypeVar("V", bound=Hashable)


class Interned(Generic[V]):
    """Base class of encoders of which there is one for each variant: all that the bytes depend on, besides the message.

    So the instance itself is the key under which what it has encoded is kept. It compares by identity, because that is
    looked up for every delivery; a variant is compared only once a subscription. Unused instances are forgotten.
    """

    _instances: ClassVar[WeakValueDictionary[Any, Any]]

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        cls._instances = WeakValueDictionary()

    def __init__(self, variant: V) -> None:
        self.variant = variant

    @classmethod
    def of(cls, variant: V) -> Self:
        """The instance for this variant."""
        instance: Self | None = cls._instances.get(variant)
        if instance is None:
            instance = cls._instances[variant] = cls(variant)
        return instance
