"""The settings of the tests, on the PostgreSQL of GEOSTREAM_TEST_POSTGRES_URL. Each worker of pytest-xdist has a database of its own."""

from __future__ import annotations

import os

import dj_database_url

from tests.settings import *  # noqa: F403

DATABASES = {"default": dj_database_url.parse(os.environ["GEOSTREAM_TEST_POSTGRES_URL"])}
