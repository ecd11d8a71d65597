"""What a page's module script imports: the browser may ask for all of it at once, not for one module behind another."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from posixpath import dirname, join, normpath, relpath
from urllib.parse import urljoin

from django.contrib.staticfiles import finders
from django.templatetags.static import static

_IMPORT = re.compile(r"""^(?:import|export)\b[^"';]*?["'](\.{1,2}/[^"']+)["']""", re.MULTILINE)
"""A static import, or an export of what another module has, with the name of a file."""


def preloaded(script: str) -> list[str]:
    """The addresses of all modules that this static file imports, directly or not, for `<link rel="modulepreload">`.

    They are found beside the script, as the browser finds them, also where the storage of static files calls that otherwise. (A storage
    that changes the names in imports as well has them loaded twice.)
    """
    return [urljoin(static(script), relpath(name, dirname(script))) for name in _imports(script)]


@cache
def _imports(script: str) -> tuple[str, ...]:
    found = {script: None}
    for name in (waiting := [script]):
        path = finders.find(name)
        text = Path(path).read_text(encoding="utf-8") if path else ""
        for imported in _IMPORT.findall(text):
            other = normpath(join(dirname(name), imported))
            if other not in found:
                found[other] = None
                waiting.append(other)
    return tuple(found)[1:]
