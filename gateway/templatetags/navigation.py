"""Template tag: the way to a page in the words of the menu."""

from __future__ import annotations

from typing import Any

from django import template

from gateway.admin.ui.navigation import place_of

register = template.Library()


@register.simple_tag
def in_the_words_of_the_menu(parts: list[dict[str, Any]], path: str) -> list[dict[str, Any]]:
    """The parts of the header's title: `title` and perhaps `link` each.

    The theme begins with the app and the plural name of the model. Both are Django's words; who came by the
    menu knows the section and the entry.
    """
    place = place_of(path)
    if place is None or len(parts) < 2:
        return parts
    named = [
        {**part, "title": place.title} if str(part.get("link")) == place.link else part for part in parts
    ]
    return [{"title": place.section}, *named[1:]]
