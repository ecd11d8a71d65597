"""Where the API definition is."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest

from processes.catalogue import Offer
from processes.descriptions.media_types import JSON

from ..landing import OPENAPI_TYPE
from ..negotiation import accept_of, quality
from ..processes import OfferView
from ..renderers import formats
from ..rendering import Page
from .document import api_document

_Key = tuple[Any, ...]


class ApiView(OfferView):
    """The definition."""

    media_type = OPENAPI_TYPE

    async def get(self, request: HttpRequest) -> Page:
        """As OpenAPI, or for people."""
        offers = sorted(await self.catalogue.all(), key=lambda each: each.identifier)
        document = _cached(self.site.base, offers)
        wants_openapi = "f" in request.GET or quality(accept_of(request), OPENAPI_TYPE) > 0
        return Page("api", document, media_type=OPENAPI_TYPE if wants_openapi else JSON)


_last: dict[str, tuple[_Key, dict[str, Any]]] = {}


def _cached(base: str, offers: list[Offer]) -> dict[str, Any]:
    """The document that was made last for an address, while nothing has changed."""
    key = (tuple((each.pk, each.description.digest, each.continuous) for each in offers), tuple(formats()))
    found = _last.get(base)
    if found is None or found[0] != key:
        if len(_last) >= 10:
            _last.clear()
        found = _last[base] = (key, api_document(base, offers))
    return found[1]
