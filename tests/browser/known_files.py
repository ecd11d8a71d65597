"""The project's settings, but static files are looked for once, and kept: a page asks for a hundred, each in dozens of folders."""

from geostream.settings import *  # noqa: F403

SERVESTATIC_AUTOREFRESH = False
SERVESTATIC_MAX_AGE = 3600
