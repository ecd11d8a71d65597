"""The npm package of the JavaScript client, packed and installed as its users do it, but without a registry."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests import processes
from tests.conftest import missing
from tests.made_once import made_once

ROOT = Path(__file__).parent.parent.parent
SOURCE = ROOT / "streaming" / "static" / "streaming"
NAME = "geostream-client"
DEPENDENCIES = ("@msgpack/msgpack", "fzstd")


def tool(name: str, *packages: str) -> str:
    """Where Node.js or npm is; skips the test without it, or without the packages of `npm ci`."""
    found = shutil.which(name)
    if found is None or not all((ROOT / "node_modules" / package).is_dir() for package in ("typescript", "vite", *packages)):
        missing("Node.js and its packages (npm ci)")
    return str(found)


def run(*command: str | Path, folder: Path) -> str:
    """What a program prints; one that fails fails the test."""
    done = processes.run(*command, cwd=folder, timeout=120)
    return done.stdout + done.stderr


def pack(folder: Path) -> Path:
    """The tarball that `npm pack` makes, of a copy: nothing appears among the files that are served."""
    copy = folder / SOURCE.relative_to(ROOT)
    shutil.copytree(SOURCE, copy)
    shutil.copy(ROOT / "tsconfig.json", folder)
    (folder / "node_modules").symlink_to(ROOT / "node_modules")
    run(tool("npm"), "pack", "--pack-destination", folder, folder=copy)
    (tarball,) = folder.glob("*.tgz")
    return tarball


def packed(factory: pytest.TempPathFactory) -> Path:
    """The tarball, which one worker of a test run makes for all."""
    (tarball,) = made_once(factory, "npm-package", pack).glob("*.tgz")
    return tarball


def install(app: Path, tarball: Path) -> Path:
    """Make a folder a project that has the package. What the package depends on, and nothing else, is taken from `npm ci`'s folder."""
    project = {
        "private": True,
        "type": "module",
        "dependencies": {NAME: f"file:{tarball}"},
        "overrides": {name: f"file:{ROOT / 'node_modules' / name}" for name in DEPENDENCIES},
    }
    app.mkdir(exist_ok=True)
    (app / "package.json").write_text(json.dumps(project))
    # Without --ignore-scripts npm would have the libraries build themselves, where they are.
    run(tool("npm"), "install", "--offline", "--ignore-scripts", "--no-audit", "--no-fund", folder=app)
    return app / "node_modules" / NAME
