"""Static files in a server process."""

from __future__ import annotations

from typing import Any

from servestatic.middleware import ServeStaticMiddleware


class StaticFiles(ServeStaticMiddleware):  # type: ignore[misc]  # without types
    """Looks at each file at its first request while DEBUG is on: to read all at the start, and not to use that, takes a fifth of the start."""

    def add_file_to_dictionary(self, *args: Any, **options: Any) -> None:
        """Note a file, unless each is looked for anyway."""
        if not self.autorefresh:
            super().add_file_to_dictionary(*args, **options)
