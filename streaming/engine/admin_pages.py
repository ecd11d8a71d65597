"""Pages and panels that a part adds to the admin: declared in its `AppConfig`, they appear in the admin by themselves.

The urls are those of `streaming.operators`; without that app there are none.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class AdminPage:
    """One page of operators, at `admin/<name>/`. Who is not staff is sent to the login, who lacks the permission is refused."""

    name: str
    """Its path; `streaming:admin-<name>` is the name of its URL."""
    title: str
    view: str = ""
    """Dotted path of a Django view."""
    summary: str = ""
    """What it shows, in half a sentence."""
    permission: str = ""
    """Such as `streaming.view_connection`; empty: all staff."""
    order: int = 50
    routes: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    """Further URLs below it: name → path and dotted path of the view, with the same permission. Named `streaming:admin-<page>-<name>`."""
    url: str = ""
    """Instead of a view: the name of a URL that is already a page of the admin."""

    @property
    def url_name(self) -> str:
        """The name of its URL."""
        return self.url or f"streaming:admin-{self.name}"


@dataclass(frozen=True, slots=True)
class AdminPanel:
    """A piece of the admin's first page, below the dashboard."""

    template: str
    context: str = ""
    """Dotted path of a function that is given the request and returns what the template needs. It is not to fail while Redis is away."""
    permission: str = ""
    order: int = 50
