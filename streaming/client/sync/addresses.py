"""The addresses of a server: where its files are announced, and where they are."""

from __future__ import annotations

from urllib.parse import urlsplit, urlunsplit

from .errors import UsageError

_SOCKET_SCHEMES = {"http": "ws", "https": "wss", "ws": "ws", "wss": "wss"}
_HTTP_SCHEMES = {"http": "http", "https": "https", "ws": "http", "wss": "https"}


def socket_url(server: str, path: str = "/ws/files") -> str:
    """The WebSocket of a server; an address that has its path already is taken as it is. `UsageError`."""
    scheme, host, prefix = _split(server)
    prefix = prefix.removesuffix(path)
    return urlunsplit((_SOCKET_SCHEMES[scheme], host, prefix + path, "", ""))


def api_url(server: str, path: str = "/api/files", socket_path: str = "/ws/files") -> str:
    """Where its files are listed, uploaded and so on. `UsageError`."""
    scheme, host, prefix = _split(server)
    return urlunsplit((_HTTP_SCHEMES[scheme], host, prefix.removesuffix(socket_path) + path, "", ""))


def _split(server: str) -> tuple[str, str, str]:
    parts = urlsplit(server)
    scheme = parts.scheme.lower()
    if scheme not in _SOCKET_SCHEMES or not parts.hostname:
        raise UsageError(f"--server must be an address such as https://example.org, not {server!r}")
    if parts.query or parts.fragment:
        raise UsageError(f"--server {server!r} must have nothing behind its path")
    return scheme, parts.netloc, parts.path.rstrip("/")
