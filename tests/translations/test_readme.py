"""README.zh-CN.md says what README.md says: the same parts, examples, rows, names and links."""

import re
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ENGLISH = (ROOT / "README.md").read_text()
CHINESE = (ROOT / "README.zh-CN.md").read_text()
EACH_OTHER = {"README.md", "README.zh-CN.md"}


def parts(text):
    """The text under each heading, with the heading's level."""
    pieces = re.split(r"^(#+) .+\n", text, flags=re.MULTILINE)[1:]
    return list(zip(pieces[::2], pieces[1::2], strict=True))


PAIRS = list(zip(parts(ENGLISH), parts(CHINESE), strict=False))


def examples(text):
    return re.findall(r"^ {4}\S.*$", text, flags=re.MULTILINE)


def rows(text):
    """Of each row of a table what is the same in every language: its names in code."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [(line.count(" | "), names(line)) for line in lines]


def names(text):
    return Counter(re.findall(r"`([^`]+)`", text))


def links(text):
    return Counter(link for link in re.findall(r"\]\(([^)\s]+)\)", text) if link not in EACH_OTHER)


def pictures(text):
    return re.findall(r'(?:src|srcset)="([^"]+)"', text)


def paragraphs(text):
    blocks = [block for block in re.split(r"\n\s*\n", text.strip()) if block]
    return len([block for block in blocks if not re.fullmatch(r"\[\S+\]\(README\S*\)", block)])


def test_the_headings_are_the_same():
    assert [level for level, _ in parts(CHINESE)] == [level for level, _ in parts(ENGLISH)]


@pytest.mark.parametrize("alike", [examples, rows, names, links, pictures, paragraphs])
def test_each_part_has_the_same(alike):
    for (_, english), (_, chinese) in PAIRS:
        assert alike(chinese) == alike(english), english[:60]


def test_the_pictures_are_there_light_and_dark_and_small():
    found = pictures(ENGLISH)
    assert len(found) >= 6
    for name in found:
        assert (ROOT / name).stat().st_size < 200_000, name
    assert {name.replace("-dark", "") for name in found if "-dark" in name} == {
        name for name in found if "-dark" not in name
    }


def test_each_leads_to_the_other():
    assert "](README.zh-CN.md)" in ENGLISH
    assert "](README.md)" in CHINESE


def test_every_heading_is_in_chinese():
    headings = [line for line in CHINESE.splitlines() if line.startswith("#")]
    assert [line for line in headings if not re.search("[\u4e00-\u9fff]", line)] == ["# ccproxy"]
