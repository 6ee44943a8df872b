"""The Chinese catalogues are complete, consistent, and what the server loads."""

import gettext
import re
from functools import cache
from pathlib import Path

import pytest
import unfold
from babel.messages.pofile import read_po
from django.utils.translation import gettext as translated
from django.utils.translation import override, pgettext

from gateway.config.presets.presets import presets
from tests.translations.sources import marked, marked_in_presets

ROOT = Path(__file__).parents[2]
CATALOGUES = {
    app: ROOT / app / "locale" / "zh_Hans" / "LC_MESSAGES" / "django.po"
    for app in ("gateway", "ccproxy_site")
}
PLACEHOLDER = re.compile(r"%\(\w+\)[.\d]*[a-z]|%[a-z%]|\{\w*\}")
# names, units and figures that are the same in both languages
SAME = {"token", "Chat Completions", "Responses", "%(done)d / %(all)d", "/"}
HAN = re.compile(r"[\u4e00-\u9fff]")


def catalogue(app):
    with CATALOGUES[app].open("rb") as file:
        return [message for message in read_po(file, abort_invalid=True) if message.id]


@cache
def messages():
    return [message for app in CATALOGUES for message in catalogue(app)]


def singular(message):
    return message.id[0] if message.pluralizable else message.id


def chinese(message):
    return message.string[0] if message.pluralizable else message.string


def holes(text):
    # `%%` is a percent sign, and not a hole
    return sorted(hole for hole in PLACEHOLDER.findall(text) if hole != "%%")


@cache
def of_sources():
    """All that the sources mark, as `marked` gives it."""
    return marked(ROOT / "gateway") | marked_in_presets()


def test_every_marked_string_of_the_sources_is_in_the_catalogue():
    known = {(message.context, singular(message)) for message in catalogue("gateway")}
    found = of_sources()
    assert len(found) > 900
    assert {key: str(path) for key, path in found.items() if key not in known} == {}


def test_the_catalogue_has_nothing_that_no_source_says():
    found = of_sources()
    assert [
        message.id for message in catalogue("gateway") if (message.context, singular(message)) not in found
    ] == []


def test_every_message_is_translated_and_none_is_a_guess():
    assert [message.id for message in messages() if not chinese(message) or message.fuzzy] == []


def test_a_message_in_chinese_is_chinese():
    latin = {
        singular(message): chinese(message) for message in messages() if not HAN.search(chinese(message))
    }
    words = {english: said for english, said in latin.items() if re.search("[a-z]{2}", holeless(english))}
    # services keep their names, in Chinese brackets
    names = {known.label for known in presets().values()}
    names |= {name.replace(" (", "（").replace(")", "）") for name in names}
    assert set(words.values()) <= SAME | names


def holeless(text):
    return PLACEHOLDER.sub("", text)


def test_both_languages_have_the_same_placeholders():
    for message in messages():
        wanted = holes(message.id[-1] if message.pluralizable else message.id)
        assert holes(chinese(message)) == wanted, message.id


@pytest.mark.parametrize("app", CATALOGUES)
def test_the_compiled_catalogue_is_in_step(app):
    with CATALOGUES[app].with_suffix(".mo").open("rb") as file:
        compiled = gettext.GNUTranslations(file)
    for message in catalogue(app):
        if message.context:
            said = compiled.pgettext(message.context, singular(message))
        elif message.pluralizable:
            said = compiled.ngettext(*message.id, 2)
        else:
            said = compiled.gettext(message.id)
        assert said == chinese(message)
    assert len([key for key in compiled._catalog if key]) == len(catalogue(app))


def test_the_theme_says_nothing_that_nobody_translates():
    folder = Path(unfold.__file__).parent
    places = [folder / "templates", folder / "contrib" / "filters", *sorted(folder.glob("*.py"))]
    words = {}
    for place in places:
        words.update(marked(place) if place.is_dir() else marked(place.parent, (place.name,)))
    assert len(words) > 80
    with override("zh-hans"):
        said = {
            word: pgettext(context, word) if context else translated(word)
            for context, word in words
            if re.search("[a-z]{3}", holeless(word))
        }
    assert [word for word, chinese in said.items() if word == chinese] == []
