"""The formats that documents are to be had in; the first is what clients get that do not say."""

from __future__ import annotations

from .html import HtmlRenderer
from .rendering import JsonRenderer, Renderer

RENDERERS: list[Renderer] = [JsonRenderer(), HtmlRenderer()]


def formats() -> list[str]:
    """Their names."""
    return [each.name for each in RENDERERS]
