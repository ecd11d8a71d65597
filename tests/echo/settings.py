"""The project with one line more."""

from geostream.settings import *  # noqa: F403
from geostream.settings import INSTALLED_APPS

INSTALLED_APPS += ["tests.echo"]
