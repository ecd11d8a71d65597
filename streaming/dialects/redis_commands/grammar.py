"""Grammar: a message becomes a command. It is a verb, words, and words with "=" (keywords), separated by any white space.

Where the servers this protocol comes from were silent about a mistake, so is this one: such errors are `quiet`, and only clients that
asked for them are sent them. Where those servers hung up, the client is told why. No message repeats what the client sent.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import inf, isfinite, isnan
from typing import Literal, NamedTuple

ErrorCode = Literal[
    "empty", "arguments", "projection", "binary", "unknown_command", "forbidden", "too_large", "rate_limited", "unavailable"
]
Quad = tuple[float, float, float, float]

VERSION = 2
"""Of the protocol: what HELLO is answered with. 1 has no HELLO."""


class CommandError(ValueError):
    """The refusal of a command. `quiet`: only clients that asked for all errors are sent it."""

    def __init__(self, code: ErrorCode, message: str, client_reference: str | None = None, *, quiet: bool = False) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.client_reference = client_reference
        self.quiet = quiet


@dataclass(frozen=True, slots=True)
class Read:
    """GET reads a hash, or one field of it. PGET does so in a CRS of its own (None: degrees), regardless of box and projection."""

    verb: Literal["GET", "PGET"]
    name: str
    field: str | None = None
    client_reference: str | None = None
    crs: str | None = None


@dataclass(frozen=True, slots=True)
class Subscription:
    """SUB subscribes to a channel, PSUB to all that a pattern matches. DEL and PDEL end that."""

    verb: Literal["SUB", "DEL", "PSUB", "PDEL"]
    name: str
    client_reference: str | None = None


@dataclass(frozen=True, slots=True)
class Bare:
    """A command without parameters. PING asks for PONG, RESET ends all subscriptions and clears the filters."""

    verb: Literal["PING", "RESET"]


@dataclass(frozen=True, slots=True)
class Bbox:
    """BBOX sets the box (None: clears it), in a CRS if one is named."""

    box: Quad | None
    crs: str | None = None


@dataclass(frozen=True, slots=True)
class Projection:
    """PROJECTION sets the CRS of the output."""

    crs: str

    @property
    def off(self) -> bool:
        """Whether it removes the projection: written exactly so; EPSG:4326 is a projection like any other."""
        return self.crs == "epsg:4326"


@dataclass(frozen=True, slots=True)
class Hello:
    """HELLO names a version of the protocol, and what the client wants of it."""

    version: int
    errors: bool = False
    acks: bool = False
    trim: bool = False


@dataclass(frozen=True, slots=True)
class Buffer:
    """BUFFER wants messages together: so many at most, so late at most; 0 and 0: one by one."""

    messages: int
    milliseconds: int


Command = Read | Subscription | Bare | Bbox | Projection | Hello | Buffer


class Words(NamedTuple):
    """The parts of a message. A keyword may be there twice; each command decides what that means."""

    verb: str
    positional: list[str]
    keywords: list[tuple[str, str]]

    def bind(self, names: Sequence[str], required: int = 1, keyword_only: Sequence[str] = ()) -> dict[str, str]:
        """The parameters by name, in order or as keywords; the first `required` ones must be there."""
        if len(self.positional) > len(names):
            raise self.wrong(f"takes at most {len(names)} argument{'s' * (len(names) > 1)}")
        bound = dict(zip(names, self.positional, strict=False))
        for name, value in self.keywords:
            if name not in names and name not in keyword_only:
                raise self.wrong("does not know one of the keywords")
            if name in bound:
                raise self.wrong(f"was given {name} twice")
            bound[name] = value
        for name in names[:required]:
            if name not in bound:
                raise self.wrong(f"needs {name}")
        return bound

    def wrong(self, reason: str, code: ErrorCode = "arguments", quiet: bool = False) -> CommandError:
        """An error of this command."""
        return CommandError(code, f"{self.verb} {reason}", self.reference(), quiet=quiet or self.verb in EXTENSIONS)

    def number(self, text: str) -> float:
        """A finite number that was given."""
        try:
            number = _float(text)
        except ValueError:
            number = inf
        if not isfinite(number):
            raise self.wrong("takes numbers")
        return number

    def reference(self) -> str | None:
        """The client's reference, which the answer repeats."""
        for name, value in self.keywords:
            if name == "client_ref":
                return value
        return self.positional[2] if self.verb in ("GET", "PGET") and len(self.positional) == 3 else None


def parse(text: str) -> Command:
    """Raises CommandError."""
    words = split(text)
    parser = _PARSERS.get(words.verb)
    if parser is None:
        raise CommandError("unknown_command", "there is no such command; they are written in upper case", words.reference(), quiet=True)
    return parser(words)


def split(text: str) -> Words:
    """CommandError if there is nothing in it."""
    tokens = text.split()
    if not tokens:
        raise CommandError("empty", "the message is empty")
    verb, *rest = tokens
    keywords = [(name, value) for name, separator, value in (token.partition("=") for token in rest) if separator]
    return Words(verb, [token for token in rest if "=" not in token], keywords)


def refuse_binary(data: bytes) -> CommandError:
    """The error of a binary frame: commands are text. One word alone is ignored."""
    return CommandError("binary", "commands are sent as text frames", quiet=len(data.split()) == 1)


def _read(words: Words, verb: Literal["GET", "PGET"]) -> Read:
    bound = words.bind(("channel_name", "ref", "client_ref", *(("projection",) if verb == "PGET" else ())))
    return Read(verb, bound["channel_name"], bound.get("ref"), bound.get("client_ref"), bound.get("projection"))


def _subscription(words: Words, verb: Literal["SUB", "DEL", "PSUB", "PDEL"]) -> Subscription:
    parameter = "pattern" if verb in ("PSUB", "PDEL") else "channel_name"
    bound = words.bind((parameter,), keyword_only=("client_ref",))
    return Subscription(verb, bound[parameter], bound.get("client_ref"))


def _bbox(words: Words) -> Bbox:
    given, named = words.positional[:4], dict(words.keywords)
    box = [_side(words, number) for number in given]
    if not words.positional and not words.keywords:
        return Bbox(None)
    if len(box) < 4:
        raise words.wrong("needs four numbers, or nothing to clear the box", quiet=not words.keywords)
    if sum(name == "crs" for name, _ in words.keywords) > 1:
        raise words.wrong("was given crs twice")
    return Bbox((box[0], box[1], box[2], box[3]), named.get("crs"))


def _side(words: Words, number: str) -> float:
    try:
        side = _float(number)
    except ValueError:
        raise words.wrong("needs four numbers") from None
    if isnan(side):
        raise words.wrong("takes no NaN")
    return side


def _float(text: str) -> float:
    """ValueError if it is none: other than Python's own it is in ASCII, and has no `_` between its digits."""
    if "_" in text or not text.isascii():
        raise ValueError
    return float(text)


def _projection(words: Words) -> Projection:
    if words.keywords:
        raise words.wrong("takes an EPSG code, no keywords or PROJ strings", "projection")
    if len(words.positional) != 1:
        raise words.wrong("needs one CRS, like epsg:3857", quiet=True)
    return Projection(words.positional[0])


def _hello(words: Words) -> Hello:
    """Any later version is answered with this one; keywords of later versions are ignored."""
    flags = {}
    for name, value in words.keywords:
        if name in ("errors", "acks", "trim"):
            if value not in ("0", "1"):
                raise words.wrong(f"takes {name}=1 or {name}=0")
            flags[name] = value == "1"
    version = _whole(words, words.positional[0]) if words.positional else 0
    if version < VERSION:
        raise words.wrong(f"needs the version, {VERSION}")
    return Hello(VERSION, **flags)


def _buffer(words: Words) -> Buffer:
    if len(words.positional) != 2 or words.keywords:
        raise words.wrong("needs two whole numbers: messages and milliseconds")
    return Buffer(_whole(words, words.positional[0]), _whole(words, words.positional[1]))


def _whole(words: Words, number: str) -> int:
    if not (number.isascii() and number.isdigit() and len(number) < 10):
        raise words.wrong("takes whole numbers")
    return int(number)


_PARSERS: dict[str, Callable[[Words], Command]] = {
    "GET": lambda words: _read(words, "GET"),
    "SUB": lambda words: _subscription(words, "SUB"),
    "DEL": lambda words: _subscription(words, "DEL"),
    "PING": lambda words: Bare("PING"),
    "BBOX": _bbox,
    "PROJECTION": _projection,
    "PGET": lambda words: _read(words, "PGET"),
    "HELLO": _hello,
    "PSUB": lambda words: _subscription(words, "PSUB"),
    "PDEL": lambda words: _subscription(words, "PDEL"),
    "BUFFER": _buffer,
    "RESET": lambda words: Bare("RESET"),
}
COMMANDS = tuple(_PARSERS)
EXTENSIONS = frozenset(("HELLO", "PSUB", "PDEL", "BUFFER", "RESET"))
"""Verbs that the servers this protocol comes from ignored silently, whatever followed them."""
