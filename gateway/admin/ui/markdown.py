"""A model's Markdown, rendered safely. The only module that imports markdown-it.

HTML in it stays text, images become links, and links lead only to the web or to mail, open in a new tab and
send no referrer. Nothing is loaded.
"""

from __future__ import annotations

from typing import Any, Final

from django.utils.safestring import SafeString, mark_safe
from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token

from gateway import patterns
from gateway.admin.ui.sanitize import inert

# longer texts are not rendered
LONGEST: Final = 40_000
_ADDRESS: Final = patterns.compiled(r"(?:https?://|mailto:)", patterns.IGNORECASE)


def rendered(text: str) -> SafeString:
    """Safe HTML for any text of up to LONGEST characters."""
    return mark_safe(_MARKDOWN.render(inert(text)))  # noqa: S308 (HTML is off, links are checked)


def _leads_somewhere_harmless(address: str) -> bool:
    return _ADDRESS.match(address) is not None


def _link(renderer: RendererHTML, tokens: list[Token], index: int, options: Any, environment: Any) -> str:
    link = tokens[index]
    link.attrSet("rel", "noopener noreferrer nofollow")
    link.attrSet("target", "_blank")
    # the text of a link may name another address
    link.attrSet("title", str(link.attrGet("href")))
    return renderer.renderToken(tokens, index, options, environment)


def _markdown() -> MarkdownIt:
    markdown = MarkdownIt("commonmark", {"html": False, "linkify": False, "maxNesting": 20})
    markdown.enable(["table", "strikethrough"]).disable("image")
    markdown.validateLink = _leads_somewhere_harmless  # type: ignore[method-assign, assignment]
    markdown.add_render_rule("link_open", _link)
    return markdown


_MARKDOWN: Final = _markdown()
