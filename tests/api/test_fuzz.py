"""The API holds what its OpenAPI document says, whatever it is sent; at length, in the long form and with `make fuzz`."""

from __future__ import annotations

import pytest

from tests.conftest import Serve, missing
from tests.profiles import LONG

from .fuzzing import fuzz, is_installed

pytestmark = pytest.mark.long_form(only=True)

SECONDS, EXAMPLES = (60, 20) if LONG else (4, 5)


@pytest.mark.slow
@pytest.mark.long_form
@pytest.mark.timeout(SECONDS + 120)
def test_no_answer_is_an_error_of_the_server_or_unknown_to_the_document(serve: Serve) -> None:
    if not is_installed():
        missing("schemathesis")
    server = serve()
    code, output = fuzz(server, SECONDS, EXAMPLES, seed=1)
    log = server.log.read_text()
    assert code == 0, output + log[log.find("Traceback") :][:5000]
    assert "Traceback" not in log
