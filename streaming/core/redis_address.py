"""Where Redis is, as a URL says: one server, what Sentinels watch over, or a cluster.

One server is `redis://`, `rediss://` or `unix://`, in every form that redis-py takes. The two others name several hosts:

    redis+sentinel://[user:password@]host[:26379][,host…]/service[/db]
    redis+cluster://[user:password@]host[:6379][,host…]

With `rediss+…` every connection is TLS. User and password are those of Redis; a Sentinel's own are the options `sentinel_username` and
`sentinel_password` behind a question mark, where every option of redis-py's URLs may stand, too.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from redis import connection as redis_connection

SENTINEL_PORT, REDIS_PORT = 26379, 6379

_parse_url: Any = redis_connection.parse_url  # untyped upstream
_URL = re.compile(
    r"(?P<scheme>rediss?)\+(?P<kind>sentinel|cluster)://(?P<login>[^@/?]*@)?(?P<hosts>[^@/?]+)(?P<path>/[^?]*)?(?P<query>\?.*)?", re.S
)
_HOST = re.compile(r"(?P<host>\[[0-9a-fA-F:.]+\]|[^:\[\]]+)(?::(?P<port>\d{1,5}))?")

Host = tuple[str, int]


@dataclass(frozen=True, slots=True)
class SingleAddress:
    """One server, by the URL that redis-py reads itself."""

    url: str


@dataclass(frozen=True, slots=True)
class SentinelAddress:
    """The primary of a service that Sentinels watch over. `options` are of connections to Redis, `sentinel_options` to Sentinels."""

    hosts: tuple[Host, ...]
    service: str
    options: dict[str, Any]
    sentinel_options: dict[str, Any]
    tls: bool


@dataclass(frozen=True, slots=True)
class ClusterAddress:
    """A cluster, by some of its nodes; which others there are they say themselves."""

    hosts: tuple[Host, ...]
    options: dict[str, Any]
    tls: bool


Address = SingleAddress | SentinelAddress | ClusterAddress


def parse_address(url: str) -> Address:
    """Read a URL; `ValueError` with what is wrong (but no password) if it names several servers and cannot be read."""
    if "+" not in url.partition("://")[0]:
        return SingleAddress(url)
    found = _URL.fullmatch(url)
    if found is None:
        raise ValueError("it is neither redis+sentinel://host[:port][,host…]/service[/db] nor redis+cluster://host[:port][,host…]")
    tls = found["scheme"] == "rediss"
    options = _parse_url(f"redis://{found['login'] or ''}host{found['query'] or ''}")
    del options["host"]
    parts = [unquote(part) for part in (found["path"] or "").strip("/").split("/") if part]
    if found["kind"] == "cluster":
        if parts not in ([], ["0"]):
            raise ValueError("a cluster has one database: nothing but 0 may follow the hosts")
        return ClusterAddress(_hosts(found["hosts"], REDIS_PORT), options, tls)
    if not parts:
        raise ValueError("the name of the service is missing: redis+sentinel://host[:port][,host…]/service[/db]")
    if len(parts) > 2 or (len(parts) == 2 and not parts[1].isdecimal()):
        raise ValueError("behind the name of the service only the number of a database may follow")
    if len(parts) == 2:
        options["db"] = int(parts[1])
    sentinel_options = {name: options.pop(f"sentinel_{name}") for name in ("username", "password") if f"sentinel_{name}" in options}
    if tls:
        sentinel_options |= {"ssl": True, **{name: value for name, value in options.items() if name.startswith("ssl_")}}
    return SentinelAddress(_hosts(found["hosts"], SENTINEL_PORT), parts[0], options, sentinel_options, tls)


def _hosts(text: str, default_port: int) -> tuple[Host, ...]:
    hosts = []
    for part in text.split(","):
        found = _HOST.fullmatch(part)
        if found is None or not 0 < int(found["port"] or default_port) < 65536:
            raise ValueError(f"{part!r} is not the address of a host, such as redis1.example.org:{default_port}")
        hosts.append((unquote(found["host"]).strip("[]"), int(found["port"] or default_port)))
    return tuple(hosts)
