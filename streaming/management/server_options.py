"""Options of `serve` that are uvicorn's own. What GeoStream decides about (protocols, pings, compression, logs) is not among them."""

from __future__ import annotations

from argparse import ArgumentParser, ArgumentTypeError
from pathlib import Path
from typing import Any

from .arguments import at_least_one

NAMES = ("forwarded_allow_ips", "proxy_headers", "root_path", "backlog", "timeout_keep_alive", "ssl_certfile", "ssl_keyfile")


def existing_file(text: str) -> str:
    """The type of an argument that is a file."""
    if not Path(text).is_file():
        raise ArgumentTypeError(f"{text!r} is not a file")
    return text


def add_server_arguments(parser: ArgumentParser) -> None:
    """Those of `NAMES`."""
    parser.add_argument("--forwarded-allow-ips", default="127.0.0.1", help="proxies whose X-Forwarded-* headers are believed")
    parser.add_argument("--no-proxy-headers", dest="proxy_headers", action="store_false", help="believe X-Forwarded-* headers of nobody")
    parser.add_argument("--root-path", default="", metavar="PATH", help="where a proxy has put the site, such as /maps")
    parser.add_argument(
        "--backlog",
        type=at_least_one,
        default=8192,
        help="connections that may wait to be accepted, at most net.core.somaxconn (default: 8192)",
    )
    parser.add_argument(
        "--timeout-keep-alive",
        type=at_least_one,
        default=30,
        metavar="SECONDS",
        help="for which idle HTTP connections stay (default: 30)",
    )
    parser.add_argument("--ssl-certfile", type=existing_file, metavar="FILE", help="serve HTTPS, with this certificate")
    parser.add_argument("--ssl-keyfile", type=existing_file, metavar="FILE", help="its key, if that is in a file of its own")


def server_options(options: dict[str, Any]) -> dict[str, Any]:
    """The options of `uvicorn.Config` among those of the command."""
    return {name: options[name] for name in NAMES}
