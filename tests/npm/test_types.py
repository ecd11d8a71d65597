"""The types of the npm package, as a TypeScript program sees them."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import msgspec
import pytest

from streaming.dialects.geo import messages
from tests.conftest import missing
from tests.processes import CompletedProcess, run

from .packed import ROOT, SOURCE, tool

pytestmark = pytest.mark.long_form(only=True)

TYPES = Path(__file__).parent / "types"
RESOLUTIONS = {"node": ("--module", "nodenext"), "bundler": ("--module", "preserve", "--moduleResolution", "bundler")}
MAP_LIBRARIES = {"maplibre-gl": "maplibre-5", "ol": "ol-10", "@deck.gl": "@deck.gl"}
INHERITED = ("Subscription", "SubscriptionEvents", "FeaturePresentation", "TilePresentation", "TileNoticePresentation")
"""What public types consist of, without being exported themselves."""
MESSAGES = (
    messages.Ack,
    messages.TilesetInfo,
    messages.SubscriptionInfo,
    messages.FeatureData,
    messages.Event,
    messages.TileData,
    messages.TilesChanged,
    messages.ZoomRange,
)


def compile_(folder: Path, *arguments: str | Path, libraries: bool = True) -> CompletedProcess[str]:
    """Declarations of libraries are checked as well, in the strictest way."""
    skip = "false" if libraries else "true"
    strict = ("--noEmit", "--strict", "--exactOptionalPropertyTypes", "--skipLibCheck", skip, "--target", "es2022")
    command = [tool("node"), ROOT / "node_modules" / ".bin" / "tsc", *strict, "--lib", "es2023,dom,dom.asynciterable", *arguments]
    return run(*command, cwd=folder, timeout=120, check=False)


@pytest.fixture(scope="module")
def project(installed: Path) -> Path:
    """A project with the package and the programs of `types/`."""
    folder = installed.parent.parent
    shutil.copytree(TYPES, folder, dirs_exist_ok=True)
    return folder


@pytest.mark.parametrize("resolution", RESOLUTIONS)
def test_every_use_compiles(project: Path, resolution: str) -> None:
    done = compile_(project, *RESOLUTIONS[resolution], "uses.ts")
    assert done.returncode == 0, done.stdout


def test_mistakes_do_not_compile(project: Path) -> None:
    done = compile_(project, *RESOLUTIONS["bundler"], "refused.ts")
    assert done.returncode == 0, done.stdout


@pytest.fixture
def with_map_libraries(project: Path) -> Path:
    """The same with the map libraries."""
    for name, package in MAP_LIBRARIES.items():
        if not (ROOT / "node_modules" / package).is_dir():
            missing("the map libraries (npm ci)")
        link = project / "node_modules" / name
        if not link.is_symlink():
            link.symlink_to(ROOT / "node_modules" / package)
    return project


def test_the_adapters_take_what_the_map_libraries_have(with_map_libraries: Path) -> None:
    """With their own types. Those are not checked themselves: they name types of Node and others that are not there."""
    done = compile_(with_map_libraries, *RESOLUTIONS["bundler"], "adapters.ts", libraries=False)
    assert done.returncode == 0, done.stdout


def declarations(package: Path) -> dict[str, str]:
    """Each class and type that the package declares, by name, without comments."""
    text = "".join(path.read_text() for path in sorted((package / "types" / "client").glob("*.d.ts")))
    text = re.sub(r"/\*.*?\*/", "", text, flags=re.S)
    return {
        found[1]: found[0] for found in re.finditer(r"^export (?:declare class|type) (\w+).*?(?=^export |^import |\Z)", text, re.M | re.S)
    }


def test_the_program_that_has_to_compile_uses_every_public_member(installed: Path) -> None:
    entry = (installed / "types" / "geostream.d.ts").read_text()
    exported = re.findall(r"^export type (\w+) =", entry, re.M) + re.findall(r"\w+", " ".join(re.findall(r"^export \{(.*)\}", entry, re.M)))
    declared, program = declarations(installed), (TYPES / "uses.ts").read_text()
    members = {
        (name, member)
        for name in {*exported, *INHERITED} & declared.keys()
        for member in re.findall(r"^    (?:get )?(\w+)\??[(:<]", declared[name], re.M)
        if member != "constructor"
    }
    assert len(members) > 100
    used = set(re.findall(r"\w+", program))
    assert sorted(name for name in exported if name not in used) == []
    assert sorted(f"{name}.{member}" for name, member in members if member not in used) == []


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: message.__name__)
def test_messages_have_the_fields_that_the_server_declares(message: type[msgspec.Struct]) -> None:
    source = (SOURCE / "client" / "messages.js").read_text()
    declared = re.search(rf"@typedef \{{object\}} {message.__name__}\b(.*?)(?:@typedef|\*/)", source, re.S)
    assert declared is not None
    names = set(re.findall(r"@property \{.*\} \[?(\w+)\]?", declared[1])) - {"type"}
    assert names == {field.name for field in msgspec.structs.fields(message)}


def test_types_of_events_are_those_of_the_server() -> None:
    source = (SOURCE / "client" / "messages.js").read_text()
    (declared,) = re.findall(r"@typedef \{(.*)\} EventType", source)
    assert re.findall(r"\w+", declared) == [kind.value for kind in messages.EventType]


@pytest.mark.parametrize(("document", "language"), [("docs/clients.md", "ts"), ("streaming/static/streaming/README.md", "js")])
def test_examples_compile(with_map_libraries: Path, document: str, language: str) -> None:
    examples = re.findall(rf"^```{language}\n(.*?)^```", (ROOT / document).read_text(), re.M | re.S)
    names = [f"example-{place}.{language}" for place in range(len(examples))]
    for name, example in zip(names, examples, strict=True):
        (with_map_libraries / name).write_text(example)
    done = compile_(with_map_libraries, *RESOLUTIONS["bundler"], "--allowJs", "--checkJs", *names, libraries=False)
    assert names
    assert done.returncode == 0, done.stdout
