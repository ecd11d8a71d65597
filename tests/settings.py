"""The project's settings, with everything it stores in a folder of its own that goes with the test run."""

import atexit
import os
import shutil
import tempfile

DATA_DIR_OF_TESTS = tempfile.mkdtemp(prefix="geostream-tests-")
atexit.register(shutil.rmtree, DATA_DIR_OF_TESTS, ignore_errors=True)
os.environ["GEOSTREAM_DATA_DIR"] = DATA_DIR_OF_TESTS
os.environ["GEOSTREAM_SERVER_EVENTS"] = "0"  # tests of events count those of their own
os.environ.pop("DATABASE_URL", None)

import dj_database_url  # noqa: E402

from geostream.settings import *  # noqa: E402, F403
from geostream.settings import DATABASES, MIDDLEWARE  # noqa: E402
from tests import databases  # noqa: E402

STATIC_FILES = "geostream.static_files.StaticFiles"
"""It reads the names of all static files for each test client, which takes longer than most tests. Those of static files have it."""
MIDDLEWARE_WITH_STATIC_FILES = MIDDLEWARE
MIDDLEWARE = [name for name in MIDDLEWARE if name != STATIC_FILES]

if databases.ON_POSTGRES:
    DATABASES["default"] = {**dj_database_url.parse(databases.URL), "TEST": {"NAME": f"{databases.RUN}_test"}}
else:  # a file, not memory: the recorder and sync views use other threads
    DATABASES["default"]["OPTIONS"]["init_command"] += "; PRAGMA synchronous=OFF"  # it need not outlive the machine
    DATABASES["default"]["TEST"] = {"NAME": os.path.join(DATA_DIR_OF_TESTS, "tests.sqlite3")}
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
GEOSTREAM_RECORD_SECONDS = 0
GEOSTREAM_ALERT_SECONDS = 0
GEOSTREAM_AUTH_CACHE_SECONDS = 0.0
