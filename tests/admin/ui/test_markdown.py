"""What a model wrote as Markdown, and what it must not do."""

import re

import pytest

from gateway.admin.ui.markdown import rendered
from tests import hostile

ALLOWED_TAGS = {
    "p", "a", "em", "strong", "code", "pre", "h1", "h2", "h3", "h4", "h5", "h6", "ul", "ol", "li",
    "blockquote", "hr", "br", "table", "thead", "tbody", "tr", "th", "td", "s",
}  # fmt: skip
TAG = re.compile(r"<(/?)([a-zA-Z!][^\s/>]*)([^>]*)>")


def tags(html):
    return [(name.lower(), attributes) for _, name, attributes in TAG.findall(html)]


def test_the_usual_is_shown_as_it_is_meant():
    html = rendered("# Title\n\n**bold** `code` [a](https://example.com)\n\n| a |\n|---|\n| b |\n\n~~no~~")
    for part in ("<h1>Title</h1>", "<strong>bold</strong>", "<code>code</code>", "<td>b</td>", "<s>no</s>"):
        assert part in html


def test_a_link_opens_a_page_of_its_own_and_tells_nobody():
    html = rendered("[a](https://example.com/x)")
    assert 'rel="noopener noreferrer nofollow"' in html
    assert 'target="_blank"' in html
    assert 'title="https://example.com/x"' in html


@pytest.mark.parametrize("text", [*hostile.MARKDOWN, hostile.SCRIPT, hostile.IMAGE_TAG])
def test_hostile_markdown_is_inert(text):
    html = rendered(text)
    for name, attributes in tags(html):
        assert name in ALLOWED_TAGS
        assert not re.search(r"\bon\w+\s*=", re.sub(r'"[^"]*"', '""', attributes))
    for address in re.findall(r'href="([^"]*)"', html):
        assert address.lower().startswith(("http://", "https://", "mailto:"))
    assert "src=" not in re.sub(r"&lt;.*?&gt;", "", html)


def test_hidden_characters_are_seen():
    html = rendered(hostile.DIRECTION + hostile.CONTROL + hostile.BROKEN)
    for character in "\u202e\u2066\u200b\x07\x1b\x00\ud83d":
        assert character not in html
    html.encode()
