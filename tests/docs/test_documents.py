"""The documents say what the code does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from streaming.conf import TABLE
from streaming.core.errors import CLOSE_MEANINGS, ERRORS
from streaming.dialects.geo.messages import BASE_FIELDS, TYPES

DOCS = Path(__file__).parents[2] / "docs"


def rows(name: str) -> list[list[str]]:
    """The cells of every table row of a document."""
    lines = (DOCS / name).read_text().splitlines()
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines if line.startswith("|")]


def test_every_setting_is_documented_with_its_default() -> None:
    documented = {
        row[0].strip("`| "): row[1].strip("`") for row in rows("settings.md") if row[0].startswith("`GEOSTREAM_") or "GEOSTREAM_" in row[0]
    }
    for setting in TABLE:
        assert documented[f"GEOSTREAM_{setting.name}"] == (str(setting.default) if setting.default != "" else "(empty)")


def test_every_error_is_documented_with_status_and_retry() -> None:
    documented = {row[0].strip("`| "): row[1:] for row in rows("errors.md") if len(row) == 4}
    for error in ERRORS.values():
        assert documented[error.code][:2] == [str(error.status), "yes" if error.retry else "no"]
    assert {code for code in documented if code in ERRORS} == set(ERRORS)


def test_every_close_code_is_documented() -> None:
    documented = {row[0] for row in rows("errors.md") if len(row) == 3}
    assert {str(int(code)) for code in CLOSE_MEANINGS} <= documented


@pytest.mark.parametrize("kind", [kind for kind in TYPES if "tile" not in kind])
def test_every_message_is_documented_with_its_fields(kind: str) -> None:
    text = (DOCS / "geo-protocol.md").read_text()
    line = next(line for line in text.splitlines() if re.match(rf"\| [^|]*`{kind}`", line))
    for field in BASE_FIELDS[TYPES[kind]]:
        assert field in line


@pytest.mark.parametrize("document", [*sorted(DOCS.glob("*.md")), DOCS.parent / "README.md"], ids=lambda path: path.name)
def test_links_between_documents_lead_somewhere(document: Path) -> None:
    for target in re.findall(r"\]\((?!https?:|#|mailto:)([^)#]+)", document.read_text()):
        assert (document.parent / target).exists(), target
