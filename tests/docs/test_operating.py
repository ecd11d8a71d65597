"""The documented ways to verify a signature take what this server signs, and nothing else."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from streaming.engine.outgoing.signature import signature
from tests.npm.packed import tool
from tests.processes import run

TEXT = (Path(__file__).parents[2] / "docs" / "operating.md").read_text()
BODY = '{"message":"späť"}'.encode()


def code(language: str, mark: str) -> str:
    return next(block for block in re.findall(rf"```{language}\n(.*?)```", TEXT, re.S) if mark in block)


def in_python(header: str, body: bytes, secret: str) -> bool:
    names: dict[str, Any] = {}
    exec(code("python", "verify.py"), names)
    return bool(names["is_genuine"](header, body, secret))


def in_node(header: str, body: bytes, secret: str) -> bool:
    program = code("js", "verify.mjs").replace("export function", "function")
    program += "\nconst [header, body, secret] = process.argv.slice(1);\nconsole.log(isGenuine(header, Buffer.from(body, 'hex'), secret));"
    command = [tool("node"), "--input-type=module", "-e", program, header, body.hex(), secret]
    return run(*command).stdout.strip() == "true"


@pytest.mark.parametrize("is_genuine", [in_python, in_node])
def test_signatures_are_verified(is_genuine: Callable[[str, bytes, str], bool]) -> None:
    now = int(time.time())
    assert is_genuine(signature("secret", now, BODY), BODY, "secret")
    assert not is_genuine(signature("secret", now, BODY), BODY + b" ", "secret")
    assert not is_genuine(signature("other", now, BODY), BODY, "secret")
    assert not is_genuine(signature("secret", now - 3600, BODY), BODY, "secret")
