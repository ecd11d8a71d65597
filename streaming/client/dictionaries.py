"""The zstd dictionaries that a client holds: fetched over HTTP from where the server says, and kept from connection to connection."""

from __future__ import annotations

import asyncio
import ssl as tls
from collections.abc import Mapping
from typing import Any, Literal
from urllib.error import HTTPError, URLError
from urllib.parse import urljoin, urlsplit
from urllib.request import HTTPRedirectHandler, HTTPSHandler, ProxyHandler, Request, build_opener

from ..dialects.geo.messages import LayerDictionary, UseDictionaries
from ..dialects.geo.zstd import ForeignDictionary

KEPT = 2
"""Of each layer: the one in use, and the one before, with which messages may still be on their way."""
MOST_BYTES = 1 << 20


class DictionaryUnavailable(Exception):
    """A dictionary cannot be fetched, or is none; messages come without it."""


class _NoRedirects(HTTPRedirectHandler):
    """A redirect would be sent the token."""

    def redirect_request(self, *_: Any) -> None:
        return None


class HeldDictionaries:
    """What a client holds. `known`: by id."""

    def __init__(
        self, url: str, headers: Mapping[str, str], ssl: tls.SSLContext | None, proxy: str | Literal[True] | None, timeout: float
    ) -> None:
        self.known: dict[int, ForeignDictionary] = {}
        self._url = url
        self._headers = headers
        self._timeout = timeout
        proxies = None if proxy is True else {} if proxy is None else {"http": proxy, "https": proxy}
        self._opener = build_opener(HTTPSHandler(context=ssl), ProxyHandler(proxies), _NoRedirects)
        self._by_layer: dict[str, list[int]] = {}

    def message(self) -> UseDictionaries:
        """What the server is told."""
        return UseDictionaries(list(self.known))

    async def take(self, offered: LayerDictionary, token: str | None) -> None:
        """Fetch one and hold it. Raises DictionaryUnavailable."""
        try:
            dictionary = ForeignDictionary(await asyncio.to_thread(self._fetch, offered.url, token))
        except (OSError, URLError, ValueError) as error:
            raise DictionaryUnavailable(f"{offered.url}: {error}") from error
        if dictionary.id != offered.id:
            raise DictionaryUnavailable(f"{offered.url} is another one")
        self.known[dictionary.id] = dictionary
        ids = self._by_layer.setdefault(offered.layer, [])
        ids.append(dictionary.id)
        for old in ids[:-KEPT]:
            self.known.pop(old, None)
        del ids[:-KEPT]

    def _fetch(self, path: str, token: str | None) -> bytes:
        address = urljoin(self._url.replace("ws", "http", 1), path)
        # The token is for the server of the connection only.
        if urlsplit(address).netloc != urlsplit(self._url).netloc:
            raise ValueError("it is on another server")
        authorization = {} if token is None else {"Authorization": f"Bearer {token}"}
        request = Request(address, headers={**self._headers, **authorization})
        try:
            with self._opener.open(request, timeout=self._timeout) as answer:
                data: bytes = answer.read(MOST_BYTES + 1)
        except HTTPError as refusal:
            refusal.close()
            raise
        if len(data) > MOST_BYTES:
            raise ValueError("it is too large")
        return data
