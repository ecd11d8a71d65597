"""`deploy/Dockerfile` read and, as far as that goes without a container engine, built: in a folder that stands for `/`."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import sys
import sysconfig
import venv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path, PurePosixPath

import msgspec
from dockerfile_parse import DockerfileParser

from tests.processes import run
from tests.profiles import LONG

from .programs import DEPLOY, USUAL_PATH, only

CONTEXT = DEPLOY.parent
OWN_FOLDERS = re.compile(r"(?<![\w./])/(opt/venv|app|data)\b")
"""Where the Dockerfile puts things."""
MAKES_VENV = re.compile(r"python -m venv (\S+)")


@dataclass(frozen=True)
class Instruction:
    """One instruction, such as `COPY geostream geostream/`."""

    name: str
    value: str

    @property
    def arguments(self) -> list[str]:
        """Its words; of the exec form, the strings of the list."""
        return msgspec.json.decode(self.value, type=list[str]) if self.value.startswith("[") else shlex.split(self.value)


def stages() -> list[list[Instruction]]:
    """The instructions of each stage, from its FROM on."""
    parser = DockerfileParser(fileobj=BytesIO((DEPLOY / "Dockerfile").read_bytes()))
    found: list[list[Instruction]] = []
    for line in parser.structure:
        if line["instruction"] == "FROM":
            found.append([])
        if found and line["instruction"] != "COMMENT":
            found[-1].append(Instruction(line["instruction"], line["value"]))
    return found


def last(name: str) -> Instruction:
    """The instruction of this name that counts in the image."""
    return [each for each in stages()[-1] if each.name == name][-1]


def health_check() -> list[str]:
    """The command of HEALTHCHECK."""
    return Instruction("CMD", last("HEALTHCHECK").value.partition("CMD ")[2]).arguments


def is_sent(path: PurePosixPath, patterns: Sequence[str]) -> bool:
    """Whether the builder is sent a file: the last pattern that fits it, or a folder that it is in, decides."""
    sent = True
    for pattern in patterns:
        expression = re.escape(pattern.removeprefix("!")).replace(r"\*\*/", "(?:.*/)?").replace(r"\*", "[^/]*")
        if any(re.fullmatch(expression, str(each)) for each in (path, *path.parents)):
            sent = pattern.startswith("!")
    return sent


def ignore_patterns() -> list[str]:
    """The patterns of the Dockerfile's own .dockerignore."""
    lines = (DEPLOY / "Dockerfile.dockerignore").read_text().splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def sent_files(source: str) -> Iterator[PurePosixPath]:
    """What COPY finds in the context: a file, or the files of a folder, without what is not sent to the builder."""
    patterns = ignore_patterns()
    found = [CONTEXT / source] if (CONTEXT / source).is_file() else (CONTEXT / source).rglob("*")
    for path in found:
        inside = PurePosixPath(path.relative_to(CONTEXT))
        if path.is_file() and is_sent(inside, patterns):
            yield inside


@dataclass
class Image:
    """What the image holds, below `root`, and how its programs are started."""

    root: Path
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def app(self) -> Path:
        return self.root / "app"

    def placed(self, text: str) -> str:
        """A text with the image's own folders below `root`."""
        return OWN_FOLDERS.sub(rf"{self.root}/\1", text)

    def command(self, arguments: Sequence[str]) -> list[str]:
        """A command as a container starts it: with the image's PATH and, where that can be dropped here, without any capability.

        Without them even root may only write where the mode of a folder says so.
        """
        program = shutil.which(arguments[0], path=self.environment["PATH"])
        assert program is not None, arguments[0]
        setpriv = shutil.which("setpriv") if os.getuid() == 0 else None
        dropped = [setpriv, "--no-new-privs", "--bounding-set=-all", "--inh-caps=-all"] if setpriv else []
        return [*dropped, program, *arguments[1:]]


def build(root: Path) -> Image:
    """Run the instructions of the first stage, and take the environment of the last.

    The packages that the tests run with are there already, so that pip has nothing to fetch. What makes the virtual environment, with a pip
    that goes through all of them, is most of what this costs: it is done in the long form; otherwise an empty one is put there.
    """
    image = Image(root)
    packages = {"PYTHONPATH": sysconfig.get_path("purelib")}
    folder = root
    for instruction in stages()[0]:
        if instruction.name == "WORKDIR":
            folder = Path(image.placed(instruction.value))
            folder.mkdir(parents=True)
        elif instruction.name == "COPY":
            _copy(instruction, folder)
        elif instruction.name == "RUN" and (made := MAKES_VENV.search(instruction.value)) and not LONG:
            venv.create(image.placed(made[1]), symlinks=True)
        elif instruction.name == "RUN":
            environment = only({**packages, "PATH": f"{Path(sys.executable).parent}:{USUAL_PATH}", "PIP_NO_INDEX": "1", "PIP_QUIET": "1"})
            run("sh", "-ec", image.placed(instruction.value), cwd=folder, env=environment)
    (root / "data").mkdir()
    image.environment = {**packages, **_environment(image)}
    for path in [image.app, *image.app.rglob("*")]:
        path.chmod(path.stat().st_mode & ~0o222)
    return image


def _copy(instruction: Instruction, folder: Path) -> None:
    *sources, target = instruction.arguments
    for source in sources:
        files = list(sent_files(source))
        assert files, f"there is nothing to copy: {source}"
        for each in files:
            inside = each.relative_to(source) if (CONTEXT / source).is_dir() else PurePosixPath(each.name)
            (folder / target / inside).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(CONTEXT / each, folder / target / inside)


def _environment(image: Image) -> dict[str, str]:
    words = [word for instruction in stages()[-1] if instruction.name == "ENV" for word in instruction.arguments]
    return {name: image.placed(value).replace("$PATH", USUAL_PATH) for name, value in (word.split("=", 1) for word in words)}
