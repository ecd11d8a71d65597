"""Static files in a server process."""

from __future__ import annotations

from typing import Any

from servestatic.middleware import ServeStaticMiddleware


class StaticFiles(ServeStaticMiddleware):  # type: ignore[misc]  # without types
    """While DEBUG is on, each file is looked for when it is asked for. Then what all are like is not read at the start, which takes long."""

    def add_file_to_dictionary(self, *args: Any, **options: Any) -> None:
        """Note a file, unless each is looked for anyway."""
        if not self.autorefresh:
            super().add_file_to_dictionary(*args, **options)
