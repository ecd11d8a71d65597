"""The health check of the container: exit code 0 while the server answers `/healthz`, or another path that is given.

It asks with a host name of GEOSTREAM_ALLOWED_HOSTS, since the server answers to no other, and needs nothing but Python.
"""

from __future__ import annotations

import argparse
import os
import sys
from http.client import HTTPConnection, HTTPException

SECONDS = 4.0


def host() -> str:
    """A name that the server answers to: the first of GEOSTREAM_ALLOWED_HOSTS, where `.example.org` and `*` are patterns."""
    first = os.environ.get("GEOSTREAM_ALLOWED_HOSTS", "").split(",")[0].strip()
    return first.lstrip("*.") or "localhost"


def main() -> int:
    """Ask once; what is wrong is printed for `docker inspect`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("path", nargs="?", default="/healthz")
    parser.add_argument("--port", type=int, default=8000)
    options = parser.parse_args()
    connection = HTTPConnection("127.0.0.1", options.port, timeout=SECONDS)  # unlike urllib, it asks no proxy of the environment
    try:
        connection.request("GET", options.path, headers={"Host": host()})
        answer = connection.getresponse()
        said = answer.read(1000).decode(errors="replace")
    except (OSError, HTTPException) as error:
        print(f"{options.path} is not answered: {error}")
        return 1
    finally:
        connection.close()
    print(answer.status, said.strip())
    return 0 if answer.status == 200 else 1


if __name__ == "__main__":
    sys.exit(main())
