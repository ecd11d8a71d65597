"""Which dictionaries one client holds, and which layers it follows: what it is told, and what its messages may be compressed with.

A message is compressed with a dictionary only after the client has said that it holds it. So no client ever waits for one, and one that
cannot fetch it loses nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Protocol

from django.urls import NoReverseMatch, reverse

from .dictionary_service import Dictionaries, KnownDictionary
from .encoding import Encoding
from .messages import LayerDictionary, Message


class Client(Protocol):
    """The session of a client, as its use of dictionaries needs it."""

    @property
    def encoding(self) -> Encoding:
        """How messages to the client are encoded now."""

    def send(self, message: Message) -> None:
        """Queue a message."""

    def compress_anew(self) -> None:
        """Messages may be compressed with another dictionary from now on."""


class DictionaryUse:
    """One client's use of dictionaries."""

    def __init__(self, service: Dictionaries, client: Client) -> None:
        self._service = service
        self._client = client
        self._held: frozenset[int] = frozenset()
        self._told: set[int] = set()
        self._layers: Counter[str] = Counter()

    def hold(self, ids: Iterable[int]) -> None:
        """What the client holds now."""
        self._held = frozenset(ids)

    def follow(self, layer: str) -> None:
        """The client has one more subscription to this layer."""
        self._layers[layer] += 1
        if self._layers[layer] == 1:
            self._service.follow(layer, self)
            self.dictionaries_changed(layer)

    def leave(self, layer: str) -> None:
        """One less."""
        self._layers[layer] -= 1
        if self._layers[layer] <= 0:
            del self._layers[layer]
            self._service.leave(layer, self)

    def close(self) -> None:
        """Follow nothing any more."""
        for layer in list(self._layers):
            self._service.leave(layer, self)
        self._layers.clear()

    def of(self, layer: str) -> KnownDictionary | None:
        """The newest dictionary of a layer that the client holds, for messages as it gets them."""
        return next((each for each in self._of(layer) if each.id in self._held), None)

    def dictionaries_changed(self, layer: str) -> None:
        """Use the newest one, if the client holds it; else tell it where it is, once."""
        newest = next(iter(self._of(layer)), None)
        if newest is None or newest.id in self._told:
            return
        if newest.id in self._held:
            self._client.compress_anew()
        elif url := _address(newest):
            self._told.add(newest.id)
            self._client.send(LayerDictionary(layer, newest.id, url, newest.size))

    def _of(self, layer: str) -> Iterable[KnownDictionary]:
        return self._service.of(layer, self._client.encoding.format)


def _address(dictionary: KnownDictionary) -> str | None:
    """Where a dictionary is fetched: a path from the root of the site; None in a project without the REST API."""
    try:
        return reverse("streaming:dictionary", args=(dictionary.layer, dictionary.name))
    except NoReverseMatch:
        return None
