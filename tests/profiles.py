"""How much the tests try that draw their cases: a little in every run, a lot in the long form (`make test-long`).

`GEOSTREAM_TEST_PROFILE` says which: `default` or `long`. Tests of Hypothesis take it from `max_examples` of the profile, or from
`examples`, and are marked `long_form` by themselves (tests/conftest.py); others ask `LONG`, and have the mark written out.
"""

from __future__ import annotations

import os
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

PROFILE = os.environ.get("GEOSTREAM_TEST_PROFILE", "default")
LONG = PROFILE == "long"


def examples(default: int, long: int) -> int:
    """How many examples this profile draws, where those of the others are too costly."""
    return long if LONG else default


def only_long(*values: object, id: str | None = None) -> Any:
    """A case of a parametrized test that only the long form tries, for others like it are tried in every run."""
    return pytest.param(*values, id=id, marks=pytest.mark.long_form(only=True))


def load() -> None:
    """Choose the profile for Hypothesis."""
    # Timings are no test: the first text that Hypothesis draws on a fresh clone takes a second, for it makes its tables of characters.
    calm = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow], "print_blob": True}
    settings.register_profile("default", max_examples=40, **calm)
    settings.register_profile("long", max_examples=1000, **calm)
    settings.load_profile(PROFILE)
