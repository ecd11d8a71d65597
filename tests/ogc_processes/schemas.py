"""The official schemas of OGC API - Processes, where there are: their folder is in the environment variable GEOSTREAM_OGC_SCHEMAS.

Bundles are JSON Schema draft 4. The strict one is right for metadata; of the schemas of values it refuses the standard's own examples, so
a lenient form is for those.
"""

from __future__ import annotations

import json
import os
from functools import cache
from pathlib import Path
from typing import Any

import pytest

VARIABLE = "GEOSTREAM_OGC_SCHEMAS"
LENIENT = ("process", "execute", "results", "schema", "inputDescription", "outputDescription")


def folder() -> Path | None:
    path = os.environ.get(VARIABLE)
    return Path(path) if path else None


def need_schemas() -> None:
    """Skip the test where they are not."""
    if folder() is None:
        pytest.skip(f"needs the schemas of OGC API - Processes ({VARIABLE})")


@cache
def validator(name: str) -> Any:
    """The validator of one of the definitions."""
    from jsonschema_rs import Draft4Validator

    place = folder()
    assert place is not None
    bundle = "schemas.bundle-lenient.json" if name in LENIENT else "schemas.bundle.json"
    definitions = json.loads((place / "part1-1.0" / bundle).read_text())["definitions"]
    return Draft4Validator({"$ref": f"#/definitions/{name}", "definitions": definitions}, offline=True)


def check(name: str, document: Any) -> None:
    """Fail if a document is not what the official schema says; nothing without the schemas."""
    if folder() is not None:
        errors = [f"{'/'.join(map(str, error.instance_path))}: {error.message}" for error in validator(name).iter_errors(document)]
        assert not errors, (name, errors, document)
