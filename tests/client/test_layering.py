"""The client is for programs that have no Django project."""

from __future__ import annotations

import subprocess
import sys


def test_the_client_does_not_import_django() -> None:
    program = "import streaming.client, sys; sys.exit('django' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
