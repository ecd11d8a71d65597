"""What is in the npm package."""

from __future__ import annotations

import json
import os
import re
import tarfile
import tomllib
from pathlib import Path
from typing import Any

import pytest

from streaming.pages.examples import EXAMPLES

from .packed import DEPENDENCIES, NAME, ROOT, SOURCE, run, tool

FOLDERS = ("client", "adapters", "style")


@pytest.fixture(scope="module")
def files(tarball: Path) -> dict[str, str]:
    """What is in the tarball, by name."""
    with tarfile.open(tarball) as archive:
        found = {member.name.removeprefix("package/"): archive.extractfile(member) for member in archive.getmembers()}
        return {name: file.read().decode() for name, file in found.items() if file is not None}


@pytest.fixture(scope="module")
def manifest(files: dict[str, str]) -> dict[str, Any]:
    described: dict[str, Any] = json.loads(files["package.json"])
    return described


def test_it_holds_the_client_its_types_and_nothing_else(files: dict[str, str]) -> None:
    modules = {"index.js", "geostream.js", *(f"{folder}/{path.name}" for folder in FOLDERS for path in (SOURCE / folder).iterdir())}
    declared = {f"types/{name.removesuffix('.js')}.d.ts" for name in modules}
    assert set(files) == modules | declared | {"package.json", "README.md", "LICENSE"}


def test_each_map_library_has_an_entry(files: dict[str, str], manifest: dict[str, Any]) -> None:
    for library in EXAMPLES:
        assert manifest["exports"][f"./{library}"] == {
            "types": f"./types/adapters/{library}.d.ts",
            "default": f"./adapters/{library}.js",
        }
        assert {f"adapters/{library}.js", f"types/adapters/{library}.d.ts"} <= files.keys()


def test_the_modules_are_those_that_are_served(files: dict[str, str]) -> None:
    for name in (name for name in files if name.endswith(".js")):
        assert files[name] == (SOURCE / name).read_text(), name


def test_its_version_is_the_projects(manifest: dict[str, Any]) -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert (manifest["name"], manifest["version"]) == (NAME, version)
    for name in ("package.json", "package-lock.json"):
        assert json.loads((ROOT / name).read_text())["version"] == version, name


def test_its_licence_is_the_projects(files: dict[str, str], manifest: dict[str, Any]) -> None:
    assert files["LICENSE"] == (ROOT / "LICENSE").read_text()
    assert manifest["license"] == json.loads((ROOT / "package.json").read_text())["license"]


def test_it_declares_what_it_imports(files: dict[str, str], manifest: dict[str, Any]) -> None:
    lines = [line for name, text in files.items() if name.endswith(".js") for line in text.splitlines() if line.lstrip()[:1] not in "/*"]
    imported = set(re.findall(r"""(?:from |import\(|import )["']([^."'][^"']*)["']""", "\n".join(lines)))
    assert imported == set(DEPENDENCIES)
    tested = json.loads((ROOT / "package.json").read_text())["dependencies"]
    assert manifest["dependencies"] == {name: tested[name] for name in imported}


def test_what_pages_are_served_imports_no_package_by_name(files: dict[str, str]) -> None:
    """Pages have no import map: what `geostream.js` and the adapters lead to is named by its place."""
    waiting, seen = ["geostream.js", *(f"adapters/{library}.js" for library in EXAMPLES)], set()
    while waiting:
        name = waiting.pop()
        seen.add(name)
        for target in re.findall(r"""^(?:import|export) [^"'()=]*["']([^"']+)["'];$""", files[name], re.M):
            assert target.startswith("."), f"{name} imports {target}"
            place = os.path.normpath(Path(name).parent / target)
            if place not in seen:
                waiting.append(place)
    assert "client/link.js" in seen
    assert "index.js" not in seen


@pytest.mark.long_form(only=True)
def test_the_adapters_are_bundled_without_the_map_libraries(installed: Path, tmp_path: Path) -> None:
    (tmp_path / "node_modules").symlink_to(installed.parent)
    (tmp_path / "index.html").write_text('<!doctype html><script type="module" src="./main.js"></script>')
    lines = [f'import * as {library} from "geostream-client/{library}"; window.{library} = {library};' for library in EXAMPLES]
    (tmp_path / "main.js").write_text("\n".join(lines))
    run(tool("node"), ROOT / "node_modules" / ".bin" / "vite", "build", folder=tmp_path)
    (bundle,) = (tmp_path / "dist" / "assets").glob("*.js")
    assert bundle.stat().st_size < 20_000
