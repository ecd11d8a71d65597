"""The languages of pages: Django's choice, in this project and in others."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polib
import pytest
from django.test import Client
from django.utils import translation

from streaming.engine.languages import languages, page_language

WORDS = {"en": "What is in view", "de": "Im Ausschnitt", "fr": "Dans la vue", "es": "A la vista"}
LOCALE_MIDDLEWARE = "geostream.page_language.PageLanguage"


@pytest.fixture(autouse=True)
def engine(transactional_db: None, redis: None) -> Iterator[None]:
    """The database and an empty Redis; and no language that a test has left active."""
    yield
    translation.deactivate()
    vars(translation._trans).clear()  # which functions USE_I18N stands for is decided once


def page(path: str = "/", accept: str = "", client: Client | None = None) -> str:
    answer = (client or Client()).get(path, headers={"accept-language": accept})
    return answer.content.decode()


def texts_of(html: str) -> str | None:
    found = re.search(r'<script src="([^"]*/texts/[^"]*)" defer>', html)
    return found and found[1]


def without(settings: Any, name: str) -> None:
    settings.MIDDLEWARE = [each for each in settings.MIDDLEWARE if each != name]


@pytest.mark.parametrize("code", WORDS)
def test_the_map_is_in_the_language_of_the_browser(code: str) -> None:
    html = page(accept=f"{code}-XX,{code};q=0.9,en;q=0.5")
    assert f'<html lang="{code}">' in html
    assert [word for word in WORDS.values() if f">{word}<" in html] == [WORDS[code]]


@pytest.mark.parametrize("path", ["/geostream/login/", "/channels/test/", "/files/", "/examples/", "/examples/maplibre/", "/ogc/?f=html"])
def test_so_are_the_other_pages(path: str) -> None:
    html = page(path, "fr")
    assert '<html lang="fr">' in html and "Langue" in html


@pytest.mark.parametrize(("accept", "code"), [("it,ja;q=0.5", "en"), ("", "en"), ("de-AT", "de"), ("*", "en")])
def test_a_language_that_is_not_there(accept: str, code: str) -> None:
    assert f'<html lang="{code}">' in page(accept=accept)


def test_what_was_chosen_in_the_menu_is_kept_and_leads_back() -> None:
    client = Client()
    html = page("/files/", "de", client)
    assert 'aria-label="Sprache: Deutsch, DE"' in html and html.count('<button name="language"') == 4
    assert re.search('value="de" lang="de" aria-current="true">Deutsch<', html)
    answer = client.post("/geostream/language/", {"language": "es", "next": "/files/#path=a"})
    assert (answer.status_code, answer.headers["Location"]) == (302, "/files/#path=a")
    assert '<html lang="es">' in page("/files/", "de", client)


def test_the_menu_leads_to_no_other_site() -> None:
    answer = Client().post("/geostream/language/", {"language": "es", "next": "https://example.org/"})
    assert answer.headers["Location"] == "/"


def test_pages_in_english_load_no_texts() -> None:
    assert texts_of(page()) is None


@pytest.mark.parametrize("code", ["de", "fr", "es"])
def test_the_texts_of_scripts_are_kept_for_good(code: str) -> None:
    address = texts_of(page(accept=code))
    assert address and f"/{code}." in address
    answer = Client().get(address, headers={"accept-language": "en"})
    assert answer.headers["Content-Type"] == "text/javascript; charset=utf-8"
    assert "immutable" in answer.headers["Cache-Control"]
    again = Client().get(address, headers={"if-none-match": answer.headers["ETag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_texts_of_another_version_are_those_of_now_and_are_not_kept() -> None:
    answer = Client().get("/geostream/texts/de.0123456789ab.js")
    assert (answer.status_code, answer.headers["Cache-Control"]) == (200, "no-cache")


@pytest.mark.parametrize("code", ["it", "xx", "zh-hans"])
def test_texts_that_are_not_there(code: str) -> None:
    assert Client().get(f"/geostream/texts/{code}.0123456789ab.js").status_code == 404


def test_a_missing_page_is_in_the_language_of_the_browser(settings: Any) -> None:
    settings.DEBUG = False
    assert "Hier ist nichts" in page("/nowhere", "de")


def test_caches_are_told_that_a_cookie_chooses_the_language(settings: Any) -> None:
    settings.DEBUG = False
    assert {each.strip() for each in Client().get("/nowhere").headers["Vary"].split(",")} == {"Accept-Language", "Cookie"}


def test_what_programs_are_told_stays_english() -> None:
    headers = {"accept-language": "de", "authorization": "Bearer wrong"}
    for method, path in (("get", "/api/nowhere/"), ("post", "/api/layers/"), ("put", "/api/layers/"), ("get", "/token")):
        told = getattr(Client(), method)(path, headers=headers)
        plain = getattr(Client(), method)(path, headers={**headers, "accept-language": "en"})
        assert told.content == plain.content, path
    refused = Client().post("/api/token/", {}, content_type="application/json", headers={"accept-language": "de"})
    assert b"This field is required." in refused.content


def test_a_project_in_german_without_a_choice(settings: Any) -> None:
    without(settings, LOCALE_MIDDLEWARE)
    settings.LANGUAGE_CODE = "de"
    html = page(accept="fr")
    assert '<html lang="de">' in html and "Im Ausschnitt" in html and 'name="language"' not in html


@pytest.mark.parametrize("with_middleware", [True, False])
def test_a_project_without_translations_is_in_english(settings: Any, with_middleware: bool) -> None:
    settings.USE_I18N = False
    vars(translation._trans).clear()
    settings.LANGUAGE_CODE = "de"
    if not with_middleware:
        without(settings, LOCALE_MIDDLEWARE)
    html = page(accept="fr")
    assert '<html lang="en">' in html and "What is in view" in html
    assert texts_of(html) is None and 'name="language"' not in html


def test_a_project_offers_those_of_its_languages_that_there_are(settings: Any) -> None:
    settings.LANGUAGES = [("it", "Italian"), ("de-at", "Austrian German"), ("fr", "French"), ("fr-ca", "French"), ("en", "English")]
    assert [each.code for each in languages()] == ["de-at", "fr", "en"]
    assert 'value="de-at" lang="de-at" aria-current="true"' in page(accept="de-AT")


def test_a_project_can_bring_a_language_of_its_own(settings: Any, tmp_path: Path) -> None:
    folder = tmp_path / "it" / "LC_MESSAGES"
    folder.mkdir(parents=True)
    for domain, texts in {
        "django": [("code of the language of this catalogue", "en", "it"), (None, "What is in view", "Nella vista")],
        "djangojs": [(None, "Nothing is in view.", "Nella vista non c’è niente.")],
    }.items():
        catalogue = polib.POFile()
        catalogue.metadata = {"Content-Type": "text/plain; charset=utf-8"}
        catalogue.extend(polib.POEntry(msgctxt=context, msgid=text, msgstr=translated) for context, text, translated in texts)
        catalogue.save_as_mofile(str(folder / f"{domain}.mo"))
    settings.LANGUAGES = [("en", "English"), ("it", "Italian")]
    settings.LOCALE_PATHS = [tmp_path]
    html = page(accept="it")
    assert '<html lang="it">' in html and "Nella vista" in html and ">Italiano<" in html
    address = texts_of(html)
    assert address and "Nella vista non c" in Client().get(address).content.decode()


def test_a_page_says_which_language_it_has_fallen_back_to(settings: Any) -> None:
    settings.LANGUAGES = [("it", "Italian"), ("de", "German")]
    settings.LANGUAGE_CODE = "de"
    html = page(accept="it")
    assert '<html lang="de">' in html and "Im Ausschnitt" in html
    assert texts_of(html)


def test_the_default_is_django_s() -> None:
    with translation.override("fr"):
        assert page_language() == "fr"
    with translation.override("it"):
        assert page_language() == "en"
