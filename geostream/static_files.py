"""Static files, served by servestatic."""

from __future__ import annotations

from django.contrib.staticfiles.finders import get_finders
from servestatic.middleware import ServeStaticMiddleware


class StaticFiles(ServeStaticMiddleware):  # type: ignore[misc]
    """Does not read the names of all files when it starts, which takes a tenth of a second, if it looks for each when it is asked for."""

    def add_files_from_finders(self) -> None:
        """Without `autorefresh` as ever; else only note the folders, outside of which it serves nothing."""
        if not self.autorefresh:
            super().add_files_from_finders()
            return
        for finder in get_finders():
            for storage in getattr(finder, "storages", {}).values():
                self.insert_directory(storage.location, self.static_prefix)
