"""Why a file does not become a layer or a tileset."""

from __future__ import annotations


class IngestError(Exception):
    """The file is at fault, or its options are. The text is for the people who put it there."""


class Ignored(Exception):
    """The file is no geodata, or is not to become any."""


class Superseded(Exception):
    """The file is not any more what was announced: another job follows."""
