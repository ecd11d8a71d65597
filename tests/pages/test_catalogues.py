"""The catalogues are whole and in step with the code, and what templates say is in them (of scripts: `tests/js/texts.test.mjs`)."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from html.parser import HTMLParser
from itertools import chain
from pathlib import Path
from typing import Any

import polib
import pytest
from django.conf import settings as project_settings
from django.core.management import call_command
from django.template.base import Lexer, TokenType

from ..conftest import missing

ROOT = Path(__file__).parents[2]
LANGUAGES = [code for code, _ in project_settings.LANGUAGES if code != "en"]
CATALOGUES = sorted(path for package in ("streaming", "processes") for path in (ROOT / package / "locale").rglob("*.po"))
TEMPLATES = [
    *(path for path in (ROOT / "templates").glob("*.html")),
    *(path for path in (ROOT / "templates" / "streaming").glob("*.html")),
    *(ROOT / "processes" / "templates" / "processes").glob("*.html"),
]
OF_OPERATORS = {
    "admin_page", "admin_tabs", "confirm_dialog", "connections", "feed_page", "feeds_page", "files_change_list", "files_folder",
    "files_version", "layer_page", "layers_page", "live", "overview",
}  # fmt: skip
OF_DEVELOPERS = {"asyncapi"}
NAMES = {
    "GeoStream",
    "API",
    "JSON",
    "OpenAPI",
    "msg",
    "room:1",
    "message",
    "manage.py process_worker",
    "altitude_ft > 30000",
    '{"message": "Hello"}',
}
"""What templates may say as it is: names, and what is typed as it is."""
VISIBLE = ("aria-label", "alt", "title", "placeholder", "data-label", "content")
PLACEHOLDER = re.compile(r"%\(\w+\)s|</?\w[^>]*>")
Key = tuple[str | None, str]


def key(entry: polib.POEntry) -> Key:
    return entry.msgctxt, entry.msgid


def texts(entry: polib.POEntry) -> list[str]:
    return list(entry.msgstr_plural.values()) if entry.msgid_plural else [entry.msgstr]


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


def test_every_language_has_every_catalogue() -> None:
    for name in ("django", "djangojs"):
        for package in ("streaming", "processes"):
            for code in LANGUAGES:
                assert ROOT / package / "locale" / code / "LC_MESSAGES" / f"{name}.po" in CATALOGUES


@pytest.mark.parametrize("path", CATALOGUES, ids=named)
def test_a_catalogue_lacks_nothing(path: Path) -> None:
    catalogue = polib.pofile(str(path))
    count = int(re.search(r"nplurals=(\d)", catalogue.metadata["Plural-Forms"])[1])  # type: ignore[index]
    lacking = [entry.msgid for entry in catalogue if not all(texts(entry)) or (entry.msgid_plural and len(texts(entry)) != count)]
    assert not lacking
    assert not [entry.msgid for entry in catalogue if entry.fuzzy or entry.obsolete]


@pytest.mark.parametrize("path", CATALOGUES, ids=named)
def test_translations_have_the_placeholders_and_the_markup_of_their_texts(path: Path) -> None:
    wrong = []
    for entry in polib.pofile(str(path)):
        originals = [entry.msgid, entry.msgid_plural] if entry.msgid_plural else [entry.msgid]
        for original, text in zip(originals, texts(entry), strict=True):
            if sorted(PLACEHOLDER.findall(original)) != sorted(PLACEHOLDER.findall(text)):
                wrong.append((original, text))
    assert not wrong


@pytest.mark.parametrize("path", CATALOGUES, ids=named)
def test_what_is_compiled_is_what_is_written(path: Path) -> None:
    compiled = polib.mofile(str(path.with_suffix(".mo")))
    assert {key(entry): texts(entry) for entry in compiled} == {key(entry): texts(entry) for entry in polib.pofile(str(path))}, (
        "make messages"
    )


@pytest.fixture(scope="module")
def found_anew(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A copy of the code, with the catalogues that `makemessages` makes of it."""
    if shutil.which("xgettext") is None:
        missing("GNU gettext")
    folder = tmp_path_factory.mktemp("messages")
    for source in chain.from_iterable((ROOT / name).rglob("*") for name in ("streaming", "processes", "templates")):
        if source.suffix in (".py", ".html", ".js", ".po") and "vendor" not in source.parts:
            copy = folder / source.relative_to(ROOT)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, copy)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(project_settings, "LOCALE_PATHS", [folder / "streaming" / "locale"])
        for domain in ("django", "djangojs"):
            call_command("makemessages", domain=domain, locale=LANGUAGES[:1], no_obsolete=True, add_location="file", verbosity=0)
    yield folder


@pytest.mark.parametrize("path", [path for path in CATALOGUES if LANGUAGES[0] in path.parts], ids=named)
def test_the_catalogues_have_the_texts_of_the_code(path: Path, found_anew: Path) -> None:
    of_the_code = {key(entry) for entry in polib.pofile(str(found_anew / path.relative_to(ROOT)))}
    assert of_the_code == {key(entry) for entry in polib.pofile(str(path))}, "make messages"


@pytest.mark.parametrize("path", [path for path in CATALOGUES if LANGUAGES[0] not in path.parts], ids=named)
def test_the_catalogues_of_all_languages_have_the_same_texts(path: Path) -> None:
    first = Path(*(LANGUAGES[0] if part in LANGUAGES else part for part in path.parts))
    assert {key(entry) for entry in polib.pofile(str(path))} == {key(entry) for entry in polib.pofile(str(first))}


class _Texts(HTMLParser):
    """What a reader sees of a template, or hears, that does not come from a tag."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        names = [name for name in VISIBLE if name != "content" or given.get("name") == "description"]
        self.found += [given[name] or "" for name in names if name in given]

    def handle_data(self, data: str) -> None:
        self.found.append(data)


def untranslated(source: str) -> list[str]:
    """The words of a template that are outside its translate tags."""
    kept, hidden = [], False
    for token in Lexer(source).tokenize():
        if token.token_type == TokenType.BLOCK:
            begins = token.contents.startswith("blocktranslate") or token.contents == "block body_class"
            hidden = begins or (hidden and token.contents not in ("endblocktranslate", "endblock"))
        kept.append(token.contents if token.token_type == TokenType.TEXT and not hidden else "")
    parser = _Texts()
    parser.feed("".join(kept))
    return [text.strip() for text in parser.found if re.search(r"[^\W\d_]", text) and not _is_name(text)]


def _is_name(text: str) -> bool:
    words = re.sub("|".join(map(re.escape, sorted(NAMES, key=len, reverse=True))), "", text)
    return not re.search(r"[^\W\d_]", words)


@pytest.mark.parametrize("path", [path for path in TEMPLATES if path.stem not in OF_OPERATORS | OF_DEVELOPERS], ids=named)
def test_templates_say_nothing_past_the_catalogues(path: Path) -> None:
    assert untranslated(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("<p>Hello</p>", ["Hello"]),
        ("<p>{% translate 'Hello' %} {{ name }} – 5 %</p>", []),
        ("{% blocktranslate %}Hello <b>you</b>{% endblocktranslate %} there", ["there"]),
        ('<a title="Hello" class="link" href="/there">{{ name }}</a>', ["Hello"]),
        ("<h1>GeoStream – map</h1>", ["GeoStream – map"]),
    ],
)
def test_a_text_that_is_past_them_is_found(source: str, found: Any) -> None:
    assert untranslated(source) == found
