"""The dictionaries of the layers that clients of this process follow and want compressed with one.

Of all processes one trains a layer's dictionaries, once enough features are there, and again when they are old or worn out; it puts
them into Redis, where the others find them. Training is done in a thread, on a bounded number of features.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Iterable
from typing import Protocol

from streaming.core.errors import StreamError
from streaming.engine.conf import conf
from streaming.engine.measures import Sample
from streaming.engine.runtime import Runtime
from streaming.engine.service import Service
from streaming.engine.work import WorkQueue
from streaming.features import dictionaries as stored
from streaming.features.layers import catalogue, layer_feed

from .dictionary import Dictionary
from .dictionary_training import FORMS, some_of, train_forms
from .messages import MessageFormat

LOOK_SECONDS = 5.0
TOLD_TOGETHER, TELL_SECONDS = 100, 0.1
"""Clients that are told of a new dictionary at a time, and the pause after them: each will fetch it."""
KEPT = 2
"""Dictionaries of a form: the one in use, and the one before, which clients use until they have fetched it."""


class Client(Protocol):
    """Who follows layers and is told of their dictionaries."""

    def dictionaries_changed(self, layer: str) -> None:
        """There is a new one."""


class KnownDictionary(Dictionary):
    """A dictionary of a layer. `name`: by which it is fetched."""

    def __init__(self, layer: str, data: bytes) -> None:
        super().__init__(data)
        self.layer = layer
        self.name = stored.name_of(data)


class _Layer:
    """The dictionaries of one layer by form, the newest first; and who is told of new ones."""

    def __init__(self) -> None:
        self.clients: dict[Client, None] = {}
        self.forms: dict[str, deque[KnownDictionary]] = {form: deque(maxlen=KEPT) for form in FORMS}
        self.updating = asyncio.Lock()

    def is_worn_out(self) -> bool:
        judged = [kept[0].is_worn_out() for kept in self.forms.values() if kept]  # all of them
        return any(judged)


class Dictionaries(Service):
    """Finds, makes and renews the dictionaries of followed layers."""

    def __init__(self, runtime: Runtime) -> None:
        super().__init__(runtime)
        self._work = runtime.service(WorkQueue)
        self._layers: dict[str, _Layer] = {}
        self._trained = self._plain = self._sent = 0

    async def start(self) -> None:
        """Look for new dictionaries now and then."""
        self.runtime.hub.every(LOOK_SECONDS, self.look)

    def follow(self, layer: str, client: Client) -> None:
        """Tell a client of the dictionaries of a layer, from now on."""
        found = self._layers.get(layer)
        if found is None:
            found = self._layers[layer] = _Layer()
            self.runtime.spawn(self._look_at(layer, found))
        found.clients[client] = None

    def leave(self, layer: str, client: Client) -> None:
        """Tell it no more."""
        found = self._layers.get(layer)
        if found is not None and found.clients.pop(client, True) is None and not found.clients:
            del self._layers[layer]
            for form in found.forms.values():
                self._count_all(form)

    def of(self, layer: str, format: MessageFormat) -> Iterable[KnownDictionary]:
        """Those of a followed layer for messages of a format, the newest first."""
        found = self._layers.get(layer)
        return () if found is None else found.forms[format.value]

    async def look(self) -> None:
        """Find new dictionaries of followed layers, and make those that are due. `StreamError` redis_unavailable."""
        for name, layer in list(self._layers.items()):
            await self._look_at(name, layer)

    def collect(self) -> Iterable[Sample]:
        """How many there are, and what they have saved."""
        kept = [each for layer in self._layers.values() for form in layer.forms.values() for each in form]
        yield "geostream_dictionaries", (), sum(bool(form) for layer in self._layers.values() for form in layer.forms.values())
        yield "geostream_dictionaries_trained_total", (), self._trained
        yield "geostream_dictionary_plain_bytes_total", (), self._plain + sum(each.plain for each in kept)
        yield "geostream_dictionary_sent_bytes_total", (), self._sent + sum(each.sent for each in kept)

    async def _look_at(self, name: str, layer: _Layer) -> None:
        async with layer.updating:
            if not conf.DICTIONARIES or self._layers.get(name) is not layer:
                return
            try:
                await self._update(name, layer)
            except StreamError as error:
                if error.code != "unknown_layer":
                    raise

    async def _update(self, name: str, layer: _Layer) -> None:
        found = await stored.current(name, FORMS)
        if self._is_due(layer, found) and await self._train(name):
            found = await stored.current(name, FORMS)
        if await self._take(name, layer, found):
            await self._tell(name, layer)

    def _is_due(self, layer: _Layer, found: stored.Current) -> bool:
        return layer.is_worn_out() or time.time() - found.made_at > conf.DICTIONARY_SECONDS / 2

    async def _train(self, name: str) -> bool:
        """Make new ones, if there are enough features and no other process has just done it."""
        replica = await self.runtime.hub.replica(layer_feed(await catalogue.get(name)))
        if len(replica.items) < conf.DICTIONARY_FEATURES or not await stored.claim_training(name, conf.DICTIONARY_PAUSE_SECONDS):
            return False
        began, items = time.time(), list(some_of(replica.items))
        cursor = f"{replica.epoch}:{replica.seq}"
        trained = await self._work.run(self, train_forms, name, items, cursor, conf.DICTIONARY_BYTES)
        if trained:
            self._trained += len(trained)
            await stored.store(name, trained, began, conf.DICTIONARY_SECONDS)
        return bool(trained)

    async def _take(self, name: str, layer: _Layer, found: stored.Current) -> bool:
        """Load what others, or this process, have put into use. Returns whether anything is new."""
        changed = False
        for form, kept in layer.forms.items():
            wanted = found.names.get(form)
            if wanted is None:
                self._count_all(kept)
                kept.clear()
            if wanted is None or (kept and kept[0].name == wanted):
                continue
            data = await stored.read(name, wanted)
            if data is None:  # replaced just now
                continue
            if len(kept) == KEPT:
                self._count_all((kept[-1],))
            kept.appendleft(KnownDictionary(name, data))
            changed = True
        return changed

    async def _tell(self, name: str, layer: _Layer) -> None:
        clients = list(layer.clients)
        for start in range(0, len(clients), TOLD_TOGETHER):
            if start:
                await asyncio.sleep(TELL_SECONDS)
            for client in clients[start : start + TOLD_TOGETHER]:
                if client in layer.clients:
                    client.dictionaries_changed(name)

    def _count_all(self, forgotten: Iterable[Dictionary]) -> None:
        """Keep what dictionaries have saved that are forgotten."""
        for each in forgotten:
            self._plain += each.plain
            self._sent += each.sent
