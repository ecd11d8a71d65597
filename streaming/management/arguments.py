"""Arguments of commands: their types, and the layer that is published to."""

from __future__ import annotations

from argparse import ArgumentTypeError
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import CommandError, CommandParser

from streaming.core.errors import StreamError
from streaming.core.feed import Feed
from streaming.features.geojson import FeatureRules
from streaming.features.layer_creation import NewLayer
from streaming.features.layers import LayerSettings, catalogue, layer_feed
from streaming.features.source_crs import SourceCrs
from streaming.models import Layer

LAYER_SETTINGS = ("title", "ttl_seconds", "max_features", "time_property", "wrap_longitude")


def positive(text: str) -> float:
    """The type of an argument that is a number above zero."""
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number < float("inf"):
        raise ArgumentTypeError(f"{text!r} is not a number above zero")
    return number


def at_least_one(text: str) -> int:
    """The type of an argument that is a whole number from 1."""
    if not text.isdecimal() or int(text) < 1:
        raise ArgumentTypeError(f"{text!r} is not a whole number from 1")
    return int(text)


def source_crs(text: str) -> SourceCrs:
    """The type of an argument that is the CRS of coordinates."""
    try:
        return SourceCrs.of(text)
    except StreamError as error:
        raise ArgumentTypeError(error.message) from error


def rules_from_options(options: dict[str, Any]) -> FeatureRules:
    """How the features of `--layer` are read, whether it exists or is created with the first of them."""
    try:
        return catalogue.get_sync(options["layer"] or "").rules
    except StreamError:
        return FeatureRules(bool(options["wrap_longitude"]), options.get("time_property"))


def add_layer_arguments(parser: CommandParser, recorded: bool = False) -> None:
    """Add `--layer`, and the options for a layer that is created or changed; what was `recorded` knows its layers itself."""
    default = "; of a recording of changes the recorded ones" if recorded else ""
    parser.add_argument("--layer", required=not recorded, metavar="NAME", help=f"the layer to publish to{default}")
    parser.add_argument(
        "--no-create", dest="create", action="store_false", help="refuse a layer that does not exist instead of creating it"
    )
    parser.add_argument("--title", help="set the layer's title")
    parser.add_argument(
        "--ttl", dest="ttl_seconds", type=positive, metavar="SECONDS", help="set after how much silence the layer's features expire"
    )
    parser.add_argument("--max-features", type=int, metavar="N", help="set how many features the layer may hold; 0: any number")
    parser.add_argument(
        "--wrap-longitude", action="store_const", const=True, help="set that longitudes beyond 180 degrees go on around the world"
    )
    parser.add_argument(
        "--crs",
        type=source_crs,
        default=SourceCrs(),
        help="the CRS of the file's coordinates, whatever it says itself (default: as it says)",
    )
    parser.add_argument("--id-property", metavar="NAME", help="take the features' ids from this property")


def store_from_options(options: dict[str, Any], time_property: str | None = None, layer: str | None = None) -> Feed | NewLayer:
    """Where to put the features of `--layer`, or of the given one, which is changed according to the other options.

    `CommandError`. A layer that does not exist is created with its first feature.
    """
    name = layer or options["layer"]
    settings = {setting: options[setting] for setting in LAYER_SETTINGS if options.get(setting) is not None}
    defaults = {"time_property": time_property or ""}
    try:
        if not Layer.objects.filter(name=name).exists() and options["create"]:
            _check(Layer(name=name, **{**defaults, **settings}))
            return NewLayer(name, lambda: set_up_layer(name, settings, defaults=defaults))
        return layer_feed(set_up_layer(name, settings, create=options["create"]))
    except StreamError as error:
        raise CommandError(error.message) from error


def set_up_layer(name: str, settings: dict[str, Any], create: bool = True, defaults: dict[str, Any] | None = None) -> LayerSettings:
    """Create a layer or change its settings; `defaults` are for a new one.

    `StreamError` unknown_layer or bad_request.
    """
    layer = Layer.objects.filter(name=name).first()
    if layer is None and not create:
        raise StreamError("unknown_layer", f"there is no layer {name[:100]!r}, and --no-create forbids to create it")
    current = layer and {key: getattr(layer, key) for key in settings}
    if layer is None or current != settings:
        _save(layer or Layer(name=name, **(defaults or {})), settings)
    return catalogue.get_sync(name)


def _save(layer: Layer, settings: dict[str, Any]) -> None:
    for key, value in settings.items():
        setattr(layer, key, value)
    _check(layer)
    layer.save()


def _check(layer: Layer) -> None:
    try:
        layer.full_clean()
    except ValidationError as error:
        raise StreamError("bad_request", f"the layer {layer.name[:100]!r} cannot be so: {' '.join(error.messages)}") from error
