"""Static files in a server process."""

from __future__ import annotations

from typing import Any

from servestatic.middleware import ServeStaticMiddleware


class StaticFiles(ServeStaticMiddleware):  # type: ignore[misc]  # without types
    """While DEBUG is on, a file is looked for when it is asked for, and the list of all is not made: that is a fourth of the start."""

    def add_file_to_dictionary(self, *args: Any, **options: Any) -> None:
        """Note a file, unless each is looked for anyway."""
        if not self.autorefresh:
            super().add_file_to_dictionary(*args, **options)
