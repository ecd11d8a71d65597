"""The documents say what the code does."""

from __future__ import annotations

import ast
import asyncio
import inspect
import re
import shutil
import sys
from pathlib import Path

import pytest
from django.core.management import load_command_class
from django.core.management.base import BaseCommand
from drf_spectacular.generators import SchemaGenerator

import streaming.client
from streaming.api.queries import PARAMETERS
from streaming.api.serializers import LAYER_SETTINGS
from streaming.client import GeoStreamClient
from streaming.client.conditions import FeatureOptions
from streaming.core.errors import CLOSE_MEANINGS, ERRORS
from streaming.dialects.geo.messages import BASE_FIELDS, TYPES
from streaming.engine.registry import all_settings
from tests.conftest import missing
from tests.processes import PIPE, STDOUT, Process, run
from tests.server_process import ServerProcess

DOCS = Path(__file__).parents[2] / "docs"
WITH_CODE = (DOCS.parent / "README.md", DOCS / "tutorial.md", DOCS / "clients.md", DOCS / "http-api.md")
COMMON_OPTIONS = set(BaseCommand().create_parser("manage.py", "any")._option_string_actions)
FOR_THE_KEEPER = {"open_session", "resumptions", "interrupted", "finished"}


def rows(name: str) -> list[list[str]]:
    """The cells of every table row of a document."""
    lines = (DOCS / name).read_text().splitlines()
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines if line.startswith("|")]


def blocks(language: str) -> list[tuple[str, str]]:
    """Document and text of every code block in a language."""
    return [(path.name, code) for path in WITH_CODE for code in re.findall(rf"^```{language}\n(.*?)^```", path.read_text(), re.M | re.S)]


def documented_options(command: str) -> list[str]:
    """The first cells of the table of a command."""
    section = (DOCS / "commands.md").read_text().split(f"\n## {command}\n")[1].split("\n## ")[0]
    return [line.split(" | ")[0] for line in section.splitlines() if line.startswith("| `--")]


def test_every_setting_is_documented_with_its_default() -> None:
    documented = {
        row[0].strip("`| "): row[1].strip("`") for row in rows("settings.md") if row[0].startswith("`GEOSTREAM_") or "GEOSTREAM_" in row[0]
    }
    for setting in all_settings():
        assert documented[f"GEOSTREAM_{setting.name}"] == (str(setting.default) if setting.default != "" else "(empty)")


def test_no_setting_is_documented_twice() -> None:
    sections = (DOCS / "settings.md").read_text().split("\n## Pings")[0]
    names = re.findall(r"^\| `(GEOSTREAM_\w+)` \|", sections, re.M)
    assert sorted(names) == sorted(set(names))


def test_every_error_is_documented_with_status_and_retry() -> None:
    documented = {row[0].strip("`| "): row[1:] for row in rows("errors.md") if len(row) == 4}
    for error in ERRORS.values():
        assert documented[error.code][:2] == [str(error.status), "yes" if error.retry else "no"]
    assert {code for code in documented if code in ERRORS} == set(ERRORS)


def test_every_close_code_is_documented() -> None:
    documented = {row[0] for row in rows("errors.md") if len(row) == 3}
    assert {str(int(code)) for code in CLOSE_MEANINGS} <= documented


@pytest.mark.parametrize("kind", [kind for kind in TYPES if "tile" not in kind])
def test_every_message_is_documented_with_its_fields(kind: str) -> None:
    text = (DOCS / "geo-protocol.md").read_text()
    line = next(line for line in text.splitlines() if re.match(rf"\| [^|]*`{kind}`", line))
    for field in BASE_FIELDS[TYPES[kind]]:
        assert field in line


@pytest.mark.parametrize("document", [*sorted(DOCS.glob("*.md")), DOCS.parent / "README.md"], ids=lambda path: path.name)
def test_links_between_documents_lead_somewhere(document: Path) -> None:
    for target in re.findall(r"\]\((?!https?:|#|mailto:)([^)#]+)", document.read_text()):
        assert (document.parent / target).exists(), target


def test_every_command_is_documented_with_its_options() -> None:
    commands = [path.stem for path in (DOCS.parent / "streaming" / "management" / "commands").glob("[a-z]*.py")]
    for command in commands:
        parser = load_command_class("streaming", command).create_parser("manage.py", command)
        options = {option for option in parser._option_string_actions if option.startswith("--")}
        documented = set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", " ".join(documented_options(command))))
        assert documented == options - COMMON_OPTIONS, command


def test_the_paths_of_the_api_are_documented_with_their_methods() -> None:
    text = (DOCS / "http-api.md").read_text()
    schema = SchemaGenerator().get_schema(request=None, public=True)
    for path, operations in schema["paths"].items():
        for method in operations.keys() & {"get", "post", "put", "patch", "delete"}:
            assert re.search(rf"`{method.upper()} {re.escape(path.rstrip('/'))}/?`", text), f"{method} {path}"


def test_the_parameters_of_the_api_are_documented() -> None:
    documented = {row[0].strip("`| ") for row in rows("http-api.md")}
    assert set(PARAMETERS) <= documented
    assert {"name", "title", "public", "time_property", *LAYER_SETTINGS} <= documented


def test_the_python_client_is_documented() -> None:
    text = (DOCS / "clients.md").read_text()
    arguments = inspect.signature(GeoStreamClient).parameters.keys() | FeatureOptions.__annotations__.keys()
    methods = {name for name, member in vars(GeoStreamClient).items() if inspect.isfunction(member) and name[0] != "_"}
    for name in arguments | (methods - FOR_THE_KEEPER):
        assert re.search(rf"(?<![\w-]){name}(?![\w-])", text), name
    for error in (error for error in vars(streaming.client).values() if inspect.isclass(error) and issubclass(error, Exception)):
        assert f"`{error.__name__}`" in text


def test_the_options_of_the_javascript_client_are_documented() -> None:
    source = (DOCS.parent / "streaming" / "static" / "streaming" / "client" / "client.js").read_text()
    documented = "".join(row[0] for row in rows("clients.md"))
    options = re.findall(r"@property \{.*\} \[(\w+)\]", source)
    assert len(options) > 10
    for option in options:
        assert f"`{option}`" in documented


def test_the_design_names_modules_that_exist() -> None:
    text = (DOCS / "design.md").read_text()
    for name in re.findall(r"`((?:streaming|geostream|tests)/[\w/.]+)`", text):
        assert (DOCS.parent / name).exists(), name


def test_the_design_names_every_package() -> None:
    text = (DOCS / "design.md").read_text()
    for package in (path for path in (DOCS.parent / "streaming").iterdir() if list(path.glob("*.py"))):
        assert f"`streaming/{package.name}" in text


TUTORIAL = "tutorial.md"
"""Its programs are run by `tests/packaging`."""


def as_installed_here(code: str) -> str:
    """The client by the name that it has in the server's package. As a distribution of its own it is tested in `tests/packaging`."""
    return code.replace("geostream_client", "streaming.client")


@pytest.mark.parametrize(("document", "code"), blocks("python"))
def test_python_code_compiles(document: str, code: str) -> None:
    compile(code, document, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)


@pytest.mark.parametrize(
    ("document", "code"), [block for block in blocks("python") if "127.0.0.1:8000" in block[1] and block[0] != TUTORIAL]
)
def test_python_programs_receive_what_they_ask_for(document: str, code: str, server: ServerProcess) -> None:
    expected = "Coords(" if "subscribe_tiles" in code else "'count': " if "aggregate=" in code else "AFR123"
    command = (sys.executable, "-u", "-c", as_installed_here(code).replace("ws://127.0.0.1:8000/ws", server.ws_url))
    with Process(*command, cwd=DOCS.parent, stdout=PIPE, stderr=STDOUT) as program:
        assert program.stdout is not None
        lines = []
        for line in program.stdout:
            lines.append(line)
            if expected in line:
                break
    assert lines and expected in lines[-1], "".join(lines)


def test_python_snippets_of_the_clients_run(server: ServerProcess) -> None:
    snippets = [code for document, code in blocks("python") if document == "clients.md" and "asyncio.run" not in code]

    async def run() -> None:
        async with GeoStreamClient(server.ws_url) as client, asyncio.timeout(30):
            names: dict[str, object] = {"client": client}
            for snippet in snippets:
                program = compile(as_installed_here(snippet), "clients.md", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
                coroutine = eval(program, names)
                if coroutine is not None:
                    await coroutine

    asyncio.run(run())


@pytest.mark.node
def test_javascript_snippets_of_the_clients_run(server: ServerProcess) -> None:
    node = shutil.which("node")
    if node is None or not (DOCS.parent / "node_modules" / "ws").is_dir():
        missing("Node.js and its packages (npm ci)")
    program = "\n".join(code for document, code in blocks("js") if document == "clients.md").replace(
        "ws://127.0.0.1:8000/ws", server.ws_url
    )
    done = run(node, "--input-type=module", "-e", program, cwd=DOCS.parent)
    assert done.stderr == ""
    assert "AFR123" in done.stdout


def test_curl_examples_of_the_http_api_work(server: ServerProcess) -> None:
    if shutil.which("curl") is None:
        missing("curl")
    examples = "\n".join(code for document, code in blocks("sh") if document == "http-api.md").replace("http://127.0.0.1:8000", server.url)
    script = 'set -e\ncurl() { command curl --fail --show-error "$@" && echo; }\n' + examples
    done = run("sh", input=script)
    assert done.stderr == ""
    assert '"added":1' in done.stdout and '"refused":1' in done.stdout
