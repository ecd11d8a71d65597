"""The exceptions of the client, as one tree.

`ClientError` catches everything. Its leaves differ in what a program can do about them: correct the request, wait, or give up.
"""

from __future__ import annotations

from ..core.errors import ERRORS


class ClientError(Exception):
    """Anything that goes wrong between a client and its server."""


class RequestRefused(ClientError):
    """The server understood a request and refused it. `code` is stable (see the table of errors), `message` is for people."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message

    @property
    def retry(self) -> bool:
        """Whether the same request can succeed later."""
        return self.code in ERRORS and ERRORS[self.code].retry


class RequestTimedOut(ClientError, TimeoutError):
    """The server did not answer a request in time."""


class ProtocolError(ClientError):
    """The server sent something that is not the geo protocol."""


class ConnectionLost(ClientError):
    """There is no connection any more: it broke and is not to be restored, or the client was closed."""


class ConnectionFailed(ClientError):
    """A connection could not be opened. `permanent`: trying again unchanged is useless."""

    def __init__(self, message: str, permanent: bool = False) -> None:
        super().__init__(message)
        self.permanent = permanent


class ConnectionClosedByServer(ClientError):
    """The server ended the connection with this close code. Codes 4400 to 4499 mean: do not come back unchanged."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(f"closed by the server with code {code}: {reason or 'no reason given'}")
        self.code = code
        self.reason = reason

    @property
    def permanent(self) -> bool:
        """Whether reconnecting unchanged is useless."""
        return 4400 <= self.code <= 4499


class PixelsUnavailable(ClientError):
    """The pixels of an image were asked for where nothing is installed that decodes it."""

    def __init__(self) -> None:
        super().__init__("pixels need numpy and Pillow: pip install 'geostream-client[pixels]' (or 'django-geostream[tiles]')")


def is_permanent(error: BaseException | None) -> bool:
    """Whether a lost or failed connection is not worth another attempt."""
    return bool(getattr(error, "permanent", False))
