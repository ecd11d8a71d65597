"""Wheels, and virtual environments that hold what a wheel asks for and nothing else.

No registry is needed: the distributions are those of the environment that runs the tests, linked file by file. One that the wheel's
metadata does not ask for is not there, so a dependency that is not declared is found missing.
"""

from __future__ import annotations

import os
import shutil
import sys
import venv
import zipfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import NormalizedName, canonicalize_name

from tests.processes import run

ROOT = Path(__file__).parent.parent.parent
_SCRIPT = """#!{python}
import sys
from {module} import {function}
sys.exit({function}())
"""


def build_wheel(source: Path, folder: Path) -> Path:
    """The wheel of a project, built with the tools that are installed here."""
    run(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-build-isolation", "--no-deps", "--wheel-dir", folder, source)
    (wheel,) = folder.glob("*.whl")
    return wheel


def distribution_of(wheel: Path) -> metadata.Distribution:
    """The metadata of a wheel that is not installed."""
    archive = zipfile.Path(wheel)
    (found,) = (entry for entry in archive.iterdir() if entry.name.endswith(".dist-info"))
    return metadata.PathDistribution(found)  # type: ignore[arg-type]  # what it needs of a path, zipfile.Path has


def needed(wanted: metadata.Distribution, extras: Sequence[str] = ()) -> dict[NormalizedName, metadata.Distribution]:
    """The installed distributions that one asks for, and those that they ask for, by name."""
    found: dict[NormalizedName, metadata.Distribution] = {}
    seen: set[tuple[str, str]] = set()
    waiting = [(wanted, extra) for extra in ("", *extras)]
    while waiting:
        asking, of_extra = waiting.pop()
        for requirement in map(Requirement, asking.requires or ()):
            if requirement.marker is not None and not requirement.marker.evaluate({"extra": of_extra}):
                continue
            name = canonicalize_name(requirement.name)
            found.setdefault(name, metadata.distribution(name))
            assert requirement.specifier.contains(found[name].version, prereleases=True), f"{requirement} of {asking.name}"
            news = {(name, extra) for extra in ("", *requirement.extras)} - seen
            seen |= news
            waiting += [(found[name], extra) for _, extra in news]
    return found


@dataclass(frozen=True, slots=True)
class Environment:
    """A virtual environment."""

    folder: Path

    @property
    def python(self) -> Path:
        return self.folder / "bin" / "python"

    def install(self, wheel: Path) -> None:
        """Install a wheel without looking for anything else."""
        self.pip("install", "--quiet", "--no-index", "--no-deps", wheel)

    def pip(self, *arguments: object) -> str:
        """Run this Python's pip on it."""
        return run(sys.executable, "-m", "pip", "--python", self.python, *arguments).stdout

    def variables(self) -> dict[str, str]:
        """The environment's programs first; nothing of the project that runs the tests."""
        ours = ("GEOSTREAM_", "DJANGO_", "PYTHON", "REDIS_URL", "DATABASE_URL", "PYTEST_")
        kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
        return {**kept, "PATH": f"{self.folder / 'bin'}{os.pathsep}{os.environ['PATH']}", "PYTHONDONTWRITEBYTECODE": "1"}


def make_environment(folder: Path, wheel: Path, extras: Sequence[str] = ()) -> Environment:
    """A virtual environment with a wheel and what it asks for."""
    venv.create(folder, symlinks=True)
    environment = Environment(folder)
    library = Path(run(environment.python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").stdout.strip())
    for distribution in needed(distribution_of(wheel), extras).values():
        _link(distribution, library)
        _write_scripts(distribution.entry_points, environment)
    environment.install(wheel)
    return environment


def _link(distribution: metadata.Distribution, library: Path) -> None:
    for file in distribution.files or ():
        if ".." in file.parts:  # a script, or a manual's page
            continue
        target = library / file
        target.parent.mkdir(parents=True, exist_ok=True)
        source = Path(str(file.locate()))
        try:
            os.link(source, target)
        except OSError:  # another file system
            shutil.copy2(source, target)


def _write_scripts(entry_points: Iterable[metadata.EntryPoint], environment: Environment) -> None:
    for entry in entry_points:
        if entry.group == "console_scripts" and "." not in entry.attr:
            script = environment.folder / "bin" / entry.name
            script.write_text(_SCRIPT.format(python=environment.python, module=entry.module, function=entry.attr))
            script.chmod(0o755)
